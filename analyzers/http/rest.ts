/** What of a body comes after the kept bytes: told in parts where a capture asks for every byte and no secret can hide in it. */
import { isUtf8 } from 'node:buffer';
import { isReadable } from '../coding/readable.ts';
import { mayBeFramed } from '../grpc/compressed.ts';
import { type Body, cutBody, keptBytes, wholeCharacters } from './body.ts';
import { type BodyParts, createBodyParts } from './body-parts.ts';
import type { Channel } from './channel.ts';
import type { Message } from './message.ts';

const NOTHING = Buffer.alloc(0);

/** To be called before the kept bytes are masked: a secret may go on. `end`: of the bytes in the body. Returns whether more are wanted. */
export function addRest(channel: Channel, message: Message, bytes: Buffer, end: number): boolean {
  if (message.parts === undefined) message.parts = openParts(channel, message, end - bytes.length);
  message.parts?.add(bytes);
  return message.parts !== null;
}

function openParts(channel: Channel, message: Message, offset: number): BodyParts | null {
  const { environment, hold } = channel;
  const { owner, head, body } = message;
  // A replay passes on the parts that its capture has.
  if (owner === null || hold === null || environment.locate === undefined || environment.isReplay) return null;
  // What is compressed in a body has to be masked whole, and of gRPC nobody knows here where a message begins.
  if (!tellsCoding(message) || mayBeFramed(keptBytes(body), head.headers['content-type']?.[0])) {
    environment.counters.add('body_parts_unsure');
    return null;
  }
  const cut = cutCharacter(body);
  const parts = createBodyParts(channel, { owner, side: head.kind, offset: offset - cut.length, before: keptBytes(body) });
  parts?.add(cut);
  return parts;
}

/** The bytes of a character that the limit has cut in two are not shown there: they begin what comes. */
function cutCharacter(body: Body): Buffer {
  const bytes = keptBytes(body);
  const whole = wholeCharacters(bytes);
  if (whole === bytes.length || !isUtf8(bytes.subarray(0, whole))) return NOTHING;
  const cut = Buffer.from(bytes.subarray(whole));
  cutBody(body, whole);
  return cut;
}

/** False where fields of the head are not known, so that one of them may name a coding, and the body does not look as if there were none. */
export function tellsCoding({ head: { version, fault, list }, body }: Message): boolean {
  if (version !== '2') return true;
  const isMissing = fault !== null && list.length === 0;
  const isKnown = !isMissing && !list.some(([name, value]) => name === null || (value === null && name === 'content-encoding'));
  return isKnown || isReadable(keptBytes(body));
}
