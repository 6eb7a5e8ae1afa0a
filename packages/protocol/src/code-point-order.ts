/**
 * Compares texts by code points, which is the order of UTF-8 bytes, of `COLLATE "C"` and of `BINARY`.
 * JavaScript's `<` compares UTF-16 units, which puts U+1F600 (D83D DE00) before U+FF5E.
 *
 * @returns a number below 0, 0 or above 0, for `sort`
 */
export function compareCodePoints(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x === y) continue;
    // Surrogates encode the code points above all other units.
    return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

const isSurrogate = (unit: number) => (unit & 0xf800) === 0xd800;
