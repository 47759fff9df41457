/**
 * Redaction in one thread: output of programs through the operator, bodies and heads by the search that the http operator
 * is given. Beside it secretlint with the rules that it recommends, the one of npm that looks for keys in text of any form:
 * it knows shapes of keys and neither names of fields nor headers, and only tells where they are. Others of npm
 * (pino's, fast-redact, deep-redact) take objects and paths in them, not text.
 */
import { lintSource } from '@secretlint/core';
import { creator } from '@secretlint/secretlint-rule-preset-recommend';
import { from } from 'rxjs';
import { createSecretLocator, redact } from '../../analyzers/redact.ts';
import type { LocateSecrets } from '../../analyzers/http.ts';
import type { StdioEvent } from '../../src/event.ts';
import { createFingerprint } from '../../src/fingerprint.ts';
import { nanoseconds } from '../../src/time.ts';
import type { Bench, Figure } from './figure.ts';
import { headsOf, textsOf, type Kind, type Texts } from './redact-texts.ts';
import { cpuMsOf } from './side-by-side.ts';

const PIECES = 1000;
const HEADS = 20_000;
const SECRET_EVERY = 20;
const PEER_SHARE = 20;
const MB = 1e6;
const fingerprint = createFingerprint();
const locate = createSecretLocator(fingerprint);

const ABOUT: Readonly<Record<Kind, string>> = { json: 'requests to a model in JSON', sse: 'answers of a model as event streams, searched event by event', output: 'output of programs and source text' };

export const redactBench: Bench = {
  name: 'redact',
  about: `redaction in one thread: ${PIECES.toLocaleString('en')} pieces of 16 KiB of each kind, a secret in one of ${SECRET_EVERY}`,
  async run({ rounds }) {
    const figures: Figure[] = [];
    for (const kind of ['json', 'sse', 'output'] as const) {
      const texts = textsOf(kind, rounds(PIECES), SECRET_EVERY);
      // oxlint-disable-next-line no-await-in-loop
      figures.push(await figureOf(kind, ABOUT[kind], texts, kind === 'output' ? maskOutput(texts) : () => locateIn('body', texts)));
    }
    const heads = headsOf(rounds(HEADS), SECRET_EVERY);
    figures.push(await figureOf('heads', 'heads of requests of some 250 bytes', heads, () => locateIn('head', heads)));
    return figures;
  },
};

async function figureOf(name: string, what: string, texts: Texts, mask: () => number): Promise<Figure> {
  const some = texts.pieces.slice(0, Math.ceil(texts.pieces.length / PEER_SHARE));
  const taken = await cpuMsOf({
    ours: () => {
      const found = mask();
      if (found !== texts.secrets) throw new Error(`secrets were found in ${found} pieces instead of ${texts.secrets}`);
    },
    peer: () => lint(some),
  });
  const rateOf = (pieces: readonly Buffer[], ms: number): number => pieces.reduce((sum, { length }) => sum + length, 0) / MB / (ms / 1000);
  return {
    bench: 'redact', name, value: rateOf(texts.pieces, taken.ours), unit: 'MB/s', target: { kind: 'at least', value: 200 },
    floor: { value: rateOf(some, taken.peer), what: `secretlint on 1 of ${PEER_SHARE} of them, as one text` },
    method: `${what}, a secret in one of ${SECRET_EVERY}, named by its fingerprint; CPU time, median`,
  };
}

/** In how many pieces secrets were found. */
function locateIn(part: Parameters<LocateSecrets>[0], { pieces }: Texts): number {
  return pieces.reduce((sum, bytes) => sum + (locate(part, bytes).length > 0 ? 1 : 0), 0);
}

function maskOutput({ pieces }: Texts): () => number {
  const events = pieces.map(stdioEvent);
  return () => {
    let found = 0;
    from(events).pipe(redact({ enabled: true, fingerprint })).subscribe(({ data }) => {
      if ('secrets' in data) found++;
    });
    return found;
  };
}

function stdioEvent(payload: Buffer): StdioEvent {
  return {
    timestamp: nanoseconds(1n), source: 'stdio', pid: 1, comm: 'bench', id: '', process: 'p', session: null,
    data: {
      fd: 1, role: 'stdout', target: 'pipe:[1]', peer_target: 'pipe:[1]', peers: [], direction: 'write', len: payload.length, total: payload.length, offset: 0, payload,
      truncated: false, fault: false, tid: 1,
    },
  };
}

/** All as one text: for each that it is given it takes longer than for the one before. */
async function lint(pieces: readonly Buffer[]): Promise<void> {
  await lintSource({
    source: { content: Buffer.concat(pieces).toString('utf8'), filePath: 'text', ext: '', contentType: 'text' },
    options: { config: { rules: [{ id: '@secretlint/secretlint-rule-preset-recommend', rule: creator }] }, noPhysicFilePath: true },
  });
}
