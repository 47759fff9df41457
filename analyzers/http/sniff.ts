/** Tells by the first bytes of a DATA frame whether they begin an event of `text/event-stream`, as servers write it: an event a frame. */
const FIELDS = ['data:', 'event:', 'id:', 'retry:'];

export interface Sniff {
  /** What was looked at and is not told yet, with where it was. Our own bytes. */
  readonly pieces: { readonly bytes: Buffer; readonly position: number }[];
  text: string;
  /** Of the piece last looked at: how much went into `pieces`. */
  taken: number;
}

export function createSniff(): Sniff {
  return { pieces: [], text: '', taken: 0 };
}

export function sniff(s: Sniff, bytes: Buffer, position: number): 'events' | 'other' | 'more' {
  for (let i = 0; i < bytes.length; i++) {
    s.text += String.fromCharCode(bytes[i] as number);
    s.taken = i + 1;
    const told = tell(s.text);
    if (told === 'more') continue;
    s.pieces.push({ bytes: Buffer.from(bytes.subarray(0, s.taken)), position });
    return told;
  }
  s.taken = bytes.length;
  s.pieces.push({ bytes: Buffer.from(bytes), position });
  return 'more';
}

function tell(text: string): 'events' | 'other' | 'more' {
  for (const name of FIELDS) {
    if (text === name) return 'events';
    if (name.startsWith(text)) return 'more';
  }
  return 'other';
}
