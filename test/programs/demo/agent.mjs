/**
 * The agent of the demo: sends the conversation to the model, runs the tools it
 * asks for, sends the results back, until the model ends its turn. Written
 * as agents are: streaming replies over TLS, a shell, file edits, an MCP server.
 *
 *   node agent.mjs URL PROJECT      the CA's PEM in DEMO_CA, the key in ANTHROPIC_API_KEY
 */
import { Agent, request } from 'node:https';
import { USER_MESSAGES } from './script.mjs';
import { openTools } from './tools.mjs';

/** More rounds than any script needs: a model that never ends its turn must not run for ever. */
const MAX_ROUNDS = 8;
const MODEL = 'claude-demo-1';

const [url, project] = process.argv.slice(2);
const keepAlive = new Agent({ keepAlive: true, maxSockets: 1, ca: process.env.DEMO_CA });
const tools = await openTools(project);
const messages = [];
try {
  for (const question of USER_MESSAGES) {
    say('user', question);
    messages.push({ role: 'user', content: question });
    await takeTurn();
  }
} finally {
  keepAlive.destroy();
  await tools.close();
}

async function takeTurn() {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const reply = await ask();
    messages.push({ role: 'assistant', content: reply.content });
    for (const block of reply.content) if (block.type === 'text') say('model', block.text);
    if (reply.stopReason !== 'tool_use') return;
    const results = [];
    for (const block of reply.content) if (block.type === 'tool_use') results.push(await useTool(block));
    messages.push({ role: 'user', content: results });
  }
  throw new Error(`the model did not end its turn in ${MAX_ROUNDS} rounds`);
}

async function useTool({ id, name, input }) {
  say('tool', `${name} ${JSON.stringify(input)}`);
  try {
    const content = await tools.call(name, input);
    say('result', content.trimEnd());
    return { type: 'tool_result', tool_use_id: id, content };
  } catch (error) {
    say('failed', error.message);
    return { type: 'tool_result', tool_use_id: id, content: error.message, is_error: true };
  }
}

/** One exchange with the model. */
async function ask() {
  const body = JSON.stringify({
    model: MODEL, max_tokens: 1024, stream: true,
    system: 'You are a careful coding agent. Use the tools; keep answers short.',
    tools: tools.definitions, messages,
  });
  const response = await post(body);
  const reply = { content: [], stopReason: null };
  let pending = '';
  for await (const chunk of response.setEncoding('utf8')) {
    pending += chunk;
    if (response.statusCode !== 200) continue;
    const blocks = pending.split('\n\n');
    pending = blocks.pop();
    for (const block of blocks) takeEvent(reply, block);
  }
  if (response.statusCode !== 200) throw new Error(`the API answered ${response.statusCode}: ${pending}`);
  return reply;
}

function post(body) {
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}/v1/messages`, {
      method: 'POST',
      agent: keepAlive,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'anthropic-version': '2023-06-01',
        'x-api-key': process.env.ANTHROPIC_API_KEY,
        'user-agent': 'demo-agent/1.0',
        accept: 'text/event-stream',
      },
    }, resolve);
    outgoing.on('error', reject).end(body);
  });
}

function takeEvent(reply, block) {
  const data = block.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6)).join('\n');
  if (data === '') return;
  const event = JSON.parse(data);
  if (event.type === 'content_block_start') {
    reply.content[event.index] = { ...event.content_block };
    if (event.content_block.type === 'tool_use') reply.content[event.index].input = '';
  } else if (event.type === 'content_block_delta') {
    const target = reply.content[event.index];
    if (event.delta.type === 'text_delta') target.text += event.delta.text;
    else target.input += event.delta.partial_json;
  } else if (event.type === 'content_block_stop') {
    const target = reply.content[event.index];
    if (target.type === 'tool_use') target.input = JSON.parse(target.input);
  } else if (event.type === 'message_delta') {
    reply.stopReason = event.delta.stop_reason;
  }
}

function say(who, what) {
  process.stdout.write(`${`${who}:`.padEnd(8)}${what.replaceAll('\n', '\n        ')}\n`);
}
