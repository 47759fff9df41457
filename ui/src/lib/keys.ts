/** Keyboard commands by key; the help sheet is made of the same list. */
export type Command =
  | 'next' | 'previous' | 'collapse' | 'expand' | 'zoom-in' | 'zoom-out' | 'pan-left' | 'pan-right'
  | 'fit' | 'live' | 'filter' | 'help' | 'back' | 'next-same' | 'previous-same' | 'theme' | 'link';

export interface KeyBinding {
  readonly command: Command;
  readonly keys: readonly string[];
  readonly shown: readonly string[];
  readonly meaning: string;
}

export const KEY_BINDINGS: readonly KeyBinding[] = [
  { command: 'next', keys: ['j', 'ArrowDown'], shown: ['j', '↓'], meaning: 'Next row' },
  { command: 'previous', keys: ['k', 'ArrowUp'], shown: ['k', '↑'], meaning: 'Previous row' },
  { command: 'next-same', keys: [']'], shown: [']'], meaning: 'Next event of the same source' },
  { command: 'previous-same', keys: ['['], shown: ['['], meaning: 'Previous event of the same source' },
  { command: 'collapse', keys: ['h', 'ArrowLeft'], shown: ['h', '←'], meaning: 'Fold the process, or go to its parent' },
  { command: 'expand', keys: ['l', 'ArrowRight'], shown: ['l', '→'], meaning: 'Unfold the process' },
  { command: 'zoom-in', keys: ['w', '+', '='], shown: ['w', '+'], meaning: 'Zoom in' },
  { command: 'zoom-out', keys: ['s', '-'], shown: ['s', '−'], meaning: 'Zoom out' },
  { command: 'pan-left', keys: ['a'], shown: ['a'], meaning: 'Earlier' },
  { command: 'pan-right', keys: ['d'], shown: ['d'], meaning: 'Later' },
  { command: 'fit', keys: ['f', '0'], shown: ['f', '0'], meaning: 'Show the whole session, or the measured range' },
  { command: 'live', keys: ['.'], shown: ['.'], meaning: 'Follow live, or pause' },
  { command: 'filter', keys: ['/'], shown: ['/'], meaning: 'Filter' },
  { command: 'link', keys: ['y'], shown: ['y'], meaning: 'Copy a link to what is shown' },
  { command: 'theme', keys: ['t'], shown: ['t'], meaning: 'System, dark or light' },
  { command: 'help', keys: ['?'], shown: ['?'], meaning: 'This sheet' },
  { command: 'back', keys: ['Escape'], shown: ['Esc'], meaning: 'Back out one step' },
];

const byKey = new Map(KEY_BINDINGS.flatMap((binding) => binding.keys.map((key) => [key, binding.command] as const)));

export interface KeyPress {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
}

export function commandOf(press: KeyPress): Command | null {
  if (press.ctrlKey || press.metaKey || press.altKey) return null;
  return byKey.get(press.key) ?? null;
}
