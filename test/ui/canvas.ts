/** Functions that run in the page and count what is on a canvas. The DOM's types are not loaded in the test project. */
interface CanvasLike {
  readonly width: number;
  readonly height: number;
  getContext(kind: '2d'): { getImageData(x: number, y: number, width: number, height: number): { readonly data: Uint8ClampedArray } };
}

export function countShades(element: unknown): number {
  const canvas = element as CanvasLike;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const shades = new Set<number>();
  for (let at = 0; at < data.length; at += 4) if ((data[at + 3] ?? 0) > 200) shades.add(((data[at] ?? 0) << 16) | ((data[at + 1] ?? 0) << 8) | (data[at + 2] ?? 0));
  return shades.size;
}

export function countRed(element: unknown): number {
  const canvas = element as CanvasLike;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let red = 0;
  for (let at = 0; at < data.length; at += 4) if ((data[at] ?? 0) > 200 && (data[at + 1] ?? 0) < 110 && (data[at + 2] ?? 0) < 110 && (data[at + 3] ?? 0) > 200) red += 1;
  return red;
}
