/**
 * A Model Context Protocol server on stdio for the demo: JSON-RPC 2.0, one
 * message a line. It offers one tool, `search`, over the notes of a folder.
 *
 *   node mcp-server.mjs NOTES.md      ends when stdin ends
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const METHOD_NOT_FOUND = -32601;
const INVALID_PARAMS = -32602;
const PARSE_ERROR = -32700;

const notesPath = process.argv[2];
const tools = [{
  name: 'search',
  description: 'Lines of the notes that contain the words',
  inputSchema: { type: 'object', properties: { query: { type: 'string' } }, required: ['query'] },
}];

createInterface({ input: process.stdin }).on('line', (line) => {
  let message;
  try {
    message = JSON.parse(line);
  } catch {
    return send({ id: null, error: { code: PARSE_ERROR, message: 'not JSON' } });
  }
  // A notification has no id and gets no answer.
  if (message.id !== undefined) send({ id: message.id, ...handle(message) });
});

function handle({ method, params }) {
  switch (method) {
    case 'initialize':
      return { result: {
        protocolVersion: params?.protocolVersion ?? '2025-06-18',
        capabilities: { tools: {} },
        serverInfo: { name: 'notes', version: '1.0.0' },
      } };
    case 'tools/list':
      return { result: { tools } };
    case 'tools/call':
      return callTool(params);
    case 'ping':
      return { result: {} };
    default:
      return { error: { code: METHOD_NOT_FOUND, message: `unknown method ${method}` } };
  }
}

function callTool(params) {
  const query = params?.arguments?.query;
  if (params?.name !== 'search' || typeof query !== 'string') {
    return { error: { code: INVALID_PARAMS, message: 'expected the tool search with a query' } };
  }
  const found = readFileSync(notesPath, 'utf8').split('\n').filter((line) => line.includes(query));
  return { result: { content: [{ type: 'text', text: found.join('\n') || 'nothing found' }], isError: found.length === 0 } };
}

function send(message) {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
}
