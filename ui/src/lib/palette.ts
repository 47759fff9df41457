/** The colour tokens of the style sheet, read for the canvas whenever the theme changes. */
const TOKENS = [
  'bg', 'panel', 'raised', 'line', 'line-strong', 'text', 'muted', 'faint', 'accent', 'accent-soft', 'hover',
  'process', 'process-soft', 'http', 'http-soft', 'sse', 'stdin', 'stdout', 'stderr', 'tls', 'error', 'warn', 'loss', 'blind', 'on-bar',
] as const;

export type Palette = Readonly<Record<(typeof TOKENS)[number], string>>;

export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  return Object.fromEntries(TOKENS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()])) as Palette;
}

/** Diagonal hatching: loss and blindness must not be told apart from data by colour alone. */
export function hatch(context: CanvasRenderingContext2D, colour: string, ratio: number): CanvasPattern | string {
  const tile = document.createElement('canvas');
  const size = Math.round(8 * ratio);
  tile.width = size;
  tile.height = size;
  const brush = tile.getContext('2d');
  if (brush === null) return colour;
  brush.strokeStyle = colour;
  brush.lineWidth = Math.max(1, 1.6 * ratio);
  brush.beginPath();
  for (const shift of [-size, 0, size]) {
    brush.moveTo(shift, size);
    brush.lineTo(shift + size, 0);
  }
  brush.stroke();
  const pattern = context.createPattern(tile, 'repeat');
  pattern?.setTransform(new DOMMatrix().scale(1 / ratio));
  return pattern ?? colour;
}
