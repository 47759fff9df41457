/** Shapes that several painters share. */
import type { Palette } from './palette.ts';

export interface Bar {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const RADIUS = 3;

export function fillBar(context: CanvasRenderingContext2D, bar: Bar): void {
  // Corners of a bar this narrow are not seen, and a path costs ten times a rectangle.
  if (bar.width < 6) {
    context.fillRect(bar.x, bar.y, bar.width, bar.height);
    return;
  }
  context.beginPath();
  context.roundRect(bar.x, bar.y, bar.width, bar.height, RADIUS);
  context.fill();
}

export function outline(context: CanvasRenderingContext2D, palette: Palette, bar: Bar, strong: boolean): void {
  context.strokeStyle = strong ? palette.text : palette.accent;
  context.lineWidth = strong ? 2 : 1.5;
  context.beginPath();
  context.roundRect(bar.x - 1, bar.y - 1, bar.width + 2, bar.height + 2, RADIUS + 1);
  context.stroke();
}
