/**
 * Puts the pieces of a streamed model reply together for reading. Knows the
 * deltas of the Anthropic Messages and OpenAI Chat Completions streams, and
 * nothing else of them; of any other stream it makes null.
 */
import { type Json, type StreamEvent, parseJson } from './body.ts';

export interface ReplyPart {
  readonly kind: 'text' | 'thinking' | 'tool';
  readonly name: string;
  readonly text: string;
}

export function assembleReply(events: readonly StreamEvent[]): readonly ReplyPart[] | null {
  const parts = new Map<string, { kind: ReplyPart['kind']; name: string; text: string }>();
  const part = (key: string, kind: ReplyPart['kind'], name = '') => {
    const known = parts.get(key);
    if (known !== undefined) return known;
    const made = { kind, name, text: '' };
    parts.set(key, made);
    return made;
  };
  for (const event of events) {
    const message = parseJson(event.data);
    if (!isObject(message)) continue;
    takeAnthropic(message, part);
    takeOpenAi(message, part);
  }
  const filled = [...parts.values()].filter((item) => item.text !== '' || item.name !== '');
  return filled.length === 0 ? null : filled;
}

type PartOf = (key: string, kind: ReplyPart['kind'], name?: string) => { kind: ReplyPart['kind']; name: string; text: string };

function takeAnthropic(message: { readonly [key: string]: Json }, part: PartOf): void {
  const key = `a${String(message['index'] ?? 0)}`;
  const block = message['content_block'];
  if (isObject(block) && block['type'] === 'tool_use') part(key, 'tool', String(block['name'] ?? 'tool'));
  const delta = message['delta'];
  if (message['type'] !== 'content_block_delta' || !isObject(delta)) return;
  if (typeof delta['text'] === 'string') part(key, 'text').text += delta['text'];
  if (typeof delta['thinking'] === 'string') part(key, 'thinking').text += delta['thinking'];
  if (typeof delta['partial_json'] === 'string') part(key, 'tool', 'tool').text += delta['partial_json'];
}

function takeOpenAi(message: { readonly [key: string]: Json }, part: PartOf): void {
  const choices = message['choices'];
  if (!Array.isArray(choices)) return;
  for (const choice of choices as readonly Json[]) {
    if (!isObject(choice) || !isObject(choice['delta'])) continue;
    const { content, tool_calls: calls } = choice['delta'];
    if (typeof content === 'string') part(`o${String(choice['index'] ?? 0)}`, 'text').text += content;
    if (!Array.isArray(calls)) continue;
    for (const call of calls as readonly Json[]) {
      if (!isObject(call) || !isObject(call['function'])) continue;
      const { name, arguments: text } = call['function'];
      const own = part(`t${String(call['index'] ?? 0)}`, 'tool', typeof name === 'string' ? name : '');
      if (typeof text === 'string') own.text += text;
    }
  }
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
