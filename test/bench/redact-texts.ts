/**
 * What agents send, get and print, made of words that such text has: prose, code with `token` and `key` in it, results of
 * tools. Made anew in each run, and the same in every run.
 */
import { generator, type Random } from '../helpers/random.ts';

export type Kind = 'json' | 'sse' | 'output';

const PIECE_BYTES = 16 * 1024;
const SENTENCES = [
  'I will look at the files first and then change the parser so that it keeps its state between two calls.',
  'The tests fail because the server answers before it has read the whole request.',
  'Each token of the input is counted once, and the key of the cache is the hash of its content.',
  'Run the build again with the new option and tell me what the log says about memory.',
  'It seems that the connection is closed by the peer; the error is caught and the next author retries.',
  'Nothing else depends on this function, which makes it safe to remove without further ado.',
  'An authentic answer takes the whole monkey, the keyboard and 1,024 bananas into account.',
];
const CODE = [
  'export function createReader(limits: Limits): Reader {\n  let position = 0;\n  return { read(bytes) { position += bytes.length; } };\n}\n',
  'for (const [key, value] of Object.entries(options)) {\n  if (value === undefined) continue;\n  result[key] = value;\n}\n',
  'def tokenize(text):\n    tokens = []\n    for match in PATTERN.finditer(text):\n        tokens.append(match.group(0))\n    return tokens\n',
  'const response = await fetch(`https://api.example.com/v1/items?page=${page}`, { method: "GET" });\n',
  'drwxr-xr-x 12 root root 4096 Nov 28 19:56 node_modules\n-rw-r--r-- 1 root root 18211 Nov 28 19:47 package-lock.json\n',
  'src/parser.ts:118:14 - error TS2345: Argument of type "string" is not assignable to parameter of type "number".\n',
];
const SECRETS = [
  'export ANTHROPIC_API_KEY=sk-ant-api03-Qm9Zr4Xk7Lw2Vt8Nc5Hj1Pd6Fs3Gy0Ba\n',
  'curl -H "Authorization: Bearer 9f8e7d6c5b4a39281706f5e4d3c2b1a0" https://api.example.com/v1/me\n',
  'DATABASE_URL=postgres://app:Zx81-cvbn-7731@db.example.com/app\n',
];

export interface Texts {
  readonly pieces: readonly Buffer[];
  /** How many hold a secret. */
  readonly secrets: number;
}

/** Pieces of some 16 KiB, one in `secretEvery` with a secret in it; an event stream in its events, as it is searched. */
export function textsOf(kind: Kind, count: number, secretEvery: number): Texts {
  const random = generator(kind.length);
  const texts = Array.from({ length: count }, (_, number) => textOf(kind, random, number % secretEvery === secretEvery - 1));
  const pieces = kind === 'sse' ? texts.flatMap((text) => text.split(/(?<=\n\n)/)) : texts;
  return { pieces: pieces.map((piece) => Buffer.from(piece)), secrets: Math.floor(count / secretEvery) };
}

/** Of requests to a model: one in `secretEvery` has a credential in its fields. */
export function headsOf(count: number, secretEvery: number): Texts {
  const pieces = Array.from({ length: count }, (_, number) => {
    const secret = number % secretEvery === secretEvery - 1 ? 'x-api-key: sk-ant-api03-Qm9Zr4Xk7Lw2Vt8Nc5Hj1Pd6Fs3Gy0Ba\r\n' : '';
    return Buffer.from(`POST /v1/messages?page=${number} HTTP/1.1\r\nHost: api.example.com\r\nContent-Type: application/json\r\nUser-Agent: agent/2.1.14 (linux; x64)\r\n`
      + `Accept: application/json\r\n${secret}X-Request-Id: req_${number.toString(36).padStart(12, '0')}\r\nAccept-Encoding: gzip, br\r\nContent-Length: ${1000 + number}\r\n\r\n`);
  });
  return { pieces, secrets: Math.floor(count / secretEvery) };
}

function textOf(kind: Kind, random: Random, hasSecret: boolean): string {
  const words: string[] = [];
  const secretAt = hasSecret ? random(PIECE_BYTES / 2) : Infinity;
  let length = 0;
  let isTold = false;
  while (length < PIECE_BYTES) {
    const word = !isTold && length >= secretAt ? pick(SECRETS, random) : pick(random(3) === 0 ? CODE : SENTENCES, random);
    isTold ||= length >= secretAt;
    words.push(word);
    length += word.length + 1;
  }
  if (kind === 'output') return words.join('\n');
  if (kind === 'json') return JSON.stringify(requestOf(words, random));
  return words.map((text, index) => eventOf(text, index)).join('');
}

function pick(from: readonly string[], random: Random): string {
  return from[random(from.length)] ?? '';
}

function requestOf(words: readonly string[], random: Random): unknown {
  return {
    model: 'model-large-2026', max_tokens: 4096, stream: true, temperature: 0.7,
    system: [{ type: 'text', text: 'You are an agent that writes programs.', cache_control: { type: 'ephemeral' } }],
    messages: words.map((text, index) => (index % 2 === 0
      ? { role: 'user', content: [{ type: 'tool_result', tool_use_id: `toolu_${random(1e9).toString(36)}`, content: text }] }
      : { role: 'assistant', content: [{ type: 'text', text }] })),
    usage: { input_tokens: random(9999), output_tokens: random(999), cache_read_input_tokens: 0 },
  };
}

function eventOf(text: string, index: number): string {
  return `event: content_block_delta\ndata: ${JSON.stringify({ type: 'content_block_delta', index, delta: { type: 'text_delta', text } })}\n\n`;
}
