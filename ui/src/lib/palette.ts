/** The colour tokens of the style sheet, read for the canvas whenever the theme changes. */
const TOKENS = [
  'bg', 'panel', 'raised', 'line', 'line-strong', 'text', 'muted', 'faint', 'accent', 'accent-soft', 'hover',
  'process', 'process-soft', 'http', 'http-soft', 'sse', 'net', 'file', 'mcp', 'websocket', 'stdin', 'stdout', 'stderr', 'tls', 'error', 'error-soft', 'warn', 'warn-soft', 'loss', 'blind', 'on-bar',
] as const;

/** Tokens, and what is made of them once: asking for a style or making a pattern in each frame costs more than painting it. */
export interface Palette extends Readonly<Record<(typeof TOKENS)[number], string>> {
  readonly font: string;
  readonly boldFont: string;
  readonly lossHatch: CanvasPattern | string;
  readonly blindHatch: CanvasPattern | string;
}

export function readPalette(element: Element): Palette {
  const style = getComputedStyle(element);
  const tokens = resolveTokens(element);
  const family = style.getPropertyValue('--sans').trim() || 'sans-serif';
  const ratio = globalThis.devicePixelRatio || 1;
  return {
    ...tokens,
    font: `11px ${family}`,
    boldFont: `600 11px ${family}`,
    lossHatch: hatch(tokens.loss, ratio),
    blindHatch: hatch(tokens.blind, ratio),
  };
}

/** A custom property reads as `light-dark(…)`, which a canvas would parse for each mark: a probe's colour is plain. */
function resolveTokens(element: Element): Record<(typeof TOKENS)[number], string> {
  const probe = element.ownerDocument.createElement('span');
  probe.hidden = true;
  element.append(probe);
  const style = getComputedStyle(probe);
  const resolve = (name: string): string => {
    probe.style.color = `var(--${name})`;
    return style.color;
  };
  const tokens = Object.fromEntries(TOKENS.map((name) => [name, resolve(name)])) as Record<(typeof TOKENS)[number], string>;
  probe.remove();
  return tokens;
}

/** Diagonal hatching: loss and blindness must not be told apart from data by colour alone. */
function hatch(colour: string, ratio: number): CanvasPattern | string {
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
  const pattern = brush.createPattern(tile, 'repeat');
  pattern?.setTransform(new DOMMatrix().scale(1 / ratio));
  return pattern ?? colour;
}
