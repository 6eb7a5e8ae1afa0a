/**
 * Compares texts by their code points: the order of their UTF-8 bytes, and so of `COLLATE "C"` and `BINARY`.
 * JavaScript's `<` compares UTF-16 units, which puts U+1F600 (D83D DE00) before U+FF5E.
 *
 * @returns below 0, 0 or above 0, as `sort` wants it
 */
export function compareCodePoints(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (x === y) continue;
    // Surrogates stand for code points above every other unit.
    return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1;
  }
  return a.length - b.length;
}

const isSurrogate = (unit: number) => (unit & 0xf800) === 0xd800;
