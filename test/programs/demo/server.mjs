/**
 * A model API for the demo: node:https on a random port of 127.0.0.1, speaking
 * the Anthropic Messages shape (POST /v1/messages, streamed). What it answers is
 * decided by what it is sent: the script below is matched on the last message.
 *
 *   node server.mjs      prints one line {"url":…,"ca":PEM}; ends when stdin ends
 */
import { createServer } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';
import { makeCertificate } from '../certificate.mjs';
import { nextReply } from './script.mjs';

const MAX_REQUEST_BYTES = 4 * 1024 * 1024;
/** A model speaks a few words at a time; this keeps the whole demo at a few seconds. */
const TOKEN_DELAY_MS = 35;
const THINKING_MS = 220;

const { cert, key } = makeCertificate();
const server = createServer({ cert, key }, (request, response) => {
  answer(request, response).catch((error) => {
    // The client went away in the middle of a stream: there is nobody left to tell.
    if (!response.destroyed) fail(response, 500, 'api_error', error.message);
  });
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${JSON.stringify({ url: `https://127.0.0.1:${server.address().port}`, ca: cert })}\n`);
});
process.stdin.resume().on('end', () => process.exit(0)).on('error', () => process.exit(0));

async function answer(request, response) {
  const body = await readBody(request);
  if (request.method !== 'POST' || request.url !== '/v1/messages') {
    return fail(response, 404, 'not_found_error', `${request.method} ${request.url}`);
  }
  if (!request.headers['x-api-key']) return fail(response, 401, 'authentication_error', 'x-api-key header is required');
  if (!request.headers['anthropic-version']) {
    return fail(response, 400, 'invalid_request_error', 'anthropic-version: header is required');
  }
  const asked = parse(body);
  if (!Array.isArray(asked?.messages) || typeof asked.model !== 'string' || asked.stream !== true) {
    return fail(response, 400, 'invalid_request_error', 'expected model, messages and stream: true');
  }
  await stream(response, { model: asked.model, inputTokens: tokensOf(body), content: nextReply(asked.messages) });
}

async function stream(response, { model, inputTokens, content }) {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'request-id': id('req'),
  });
  const send = (type, fields) => response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`);
  await delay(THINKING_MS);
  send('message_start', {
    message: {
      id: id('msg'), type: 'message', role: 'assistant', model, content: [],
      stop_reason: null, stop_sequence: null, usage: { input_tokens: inputTokens, output_tokens: 1 },
    },
  });
  send('ping', {});
  for (const [index, block] of content.entries()) await sendBlock(send, index, block);
  const calledTool = content.some((block) => block.type === 'tool_use');
  send('message_delta', {
    delta: { stop_reason: calledTool ? 'tool_use' : 'end_turn', stop_sequence: null },
    usage: { output_tokens: tokensOf(JSON.stringify(content)) },
  });
  send('message_stop', {});
  response.end();
}

async function sendBlock(send, index, block) {
  const isText = block.type === 'text';
  const opening = isText ? { type: 'text', text: '' } : { type: 'tool_use', id: id('toolu'), name: block.name, input: {} };
  send('content_block_start', { index, content_block: opening });
  const pieces = isText ? block.text.match(/\S+\s*(\S+\s*)?/g) : JSON.stringify(block.input).match(/.{1,18}/gs);
  for (const piece of pieces) {
    await delay(TOKEN_DELAY_MS);
    send('content_block_delta', {
      index,
      delta: isText ? { type: 'text_delta', text: piece } : { type: 'input_json_delta', partial_json: piece },
    });
  }
  send('content_block_stop', { index });
}

async function readBody(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_REQUEST_BYTES) throw new Error('request too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function fail(response, status, type, message) {
  if (response.headersSent) return response.destroy();
  response.writeHead(status, { 'content-type': 'application/json', 'request-id': id('req') });
  response.end(JSON.stringify({ type: 'error', error: { type, message } }));
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** About four characters to a token, as in English prose. */
function tokensOf(text) {
  return Math.ceil(text.length / 4);
}

function id(prefix) {
  return `${prefix}_demo_${Math.random().toString(36).slice(2, 12)}`;
}
