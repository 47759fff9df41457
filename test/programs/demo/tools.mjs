/** The tools of the demo agent: a real shell, real file edits, and an MCP server on stdio. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const BUILT_IN = [
  {
    name: 'Bash',
    description: 'Runs a shell command in the project',
    input_schema: { type: 'object', properties: { command: { type: 'string' }, description: { type: 'string' } }, required: ['command'] },
  },
  {
    name: 'Edit',
    description: 'Replaces a text in a file, which must occur in it once',
    input_schema: {
      type: 'object',
      properties: { file_path: { type: 'string' }, old_string: { type: 'string' }, new_string: { type: 'string' } },
      required: ['file_path', 'old_string', 'new_string'],
    },
  },
];

/** Starts the MCP server and asks it for its tools. */
export async function openTools(project) {
  const mcp = startMcp(project);
  await mcp.ask('initialize', {
    protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'demo-agent', version: '1.0.0' },
  });
  mcp.tell('notifications/initialized');
  const listed = await mcp.ask('tools/list', {});
  const remote = listed.tools.map((tool) => ({
    name: `mcp__notes__${tool.name}`, description: tool.description, input_schema: tool.inputSchema,
  }));
  return {
    definitions: [...BUILT_IN, ...remote],
    async call(name, input) {
      if (name === 'Bash') return runShell(project, input.command);
      if (name === 'Edit') return editFile(project, input);
      if (name.startsWith('mcp__notes__')) return callMcp(mcp, name.slice('mcp__notes__'.length), input);
      throw new Error(`there is no tool ${name}`);
    },
    close: mcp.close,
  };
}

async function runShell(project, command) {
  const child = spawn('bash', ['-c', command], { cwd: project, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { output += text; });
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`${output}ended with ${signal ?? code}`);
  return output;
}

async function editFile(project, { file_path: name, old_string: before, new_string: after }) {
  const path = join(project, name);
  const pieces = (await readFile(path, 'utf8')).split(before);
  if (pieces.length !== 2) throw new Error(`expected the text once in ${name}, found it ${pieces.length - 1} times`);
  await writeFile(path, pieces.join(after));
  return `edited ${name}`;
}

async function callMcp(mcp, name, input) {
  const { content, isError } = await mcp.ask('tools/call', { name, arguments: input });
  const text = content.map((part) => part.text).join('\n');
  if (isError) throw new Error(text);
  return text;
}

function startMcp(project) {
  const script = fileURLToPath(new URL('mcp-server.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, join(project, 'notes.md')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting = new Map();
  let lastId = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { id, result, error } = JSON.parse(line);
    const reply = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) reply?.resolve(result);
    else reply?.reject(new Error(error.message));
  });
  child.on('exit', (code) => {
    for (const reply of waiting.values()) reply.reject(new Error(`the MCP server ended with ${code}`));
  });
  const send = (message) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  return {
    ask(method, params) {
      const id = ++lastId;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        send({ id, method, params });
      });
    },
    tell: (method) => send({ method }),
    async close() {
      if (child.exitCode !== null) return;
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}
