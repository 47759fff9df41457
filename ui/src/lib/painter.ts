/** Paints once a frame, with what was given last. A later picture replaces one that waits but never delays it. */
export interface Painter {
  readonly next: (paint: () => void) => void;
  /** Safe twice. */
  readonly close: () => void;
}

export function createPainter(): Painter {
  let waiting: (() => void) | null = null;
  let frame: number | null = null;
  return {
    next: (paint) => {
      waiting = paint;
      frame ??= requestAnimationFrame(() => {
        frame = null;
        waiting?.();
        waiting = null;
      });
    },
    close: () => {
      if (frame !== null) cancelAnimationFrame(frame);
      frame = null;
      waiting = null;
    },
  };
}
