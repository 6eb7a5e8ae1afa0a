/** Whether a JSON number keeps its value when it is read as a double and written again. */
export function isExact(source: string): boolean {
  const number = Number(source);
  return Number.isFinite(number) && decimal(source) === decimal(String(number));
}

/** A decimal literal as digits and exponent, without redundant zeros. One pass, because it may be as long as a body. */
function decimal(literal: string): string {
  const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(
    literal,
  )!;
  const digits = whole + fraction;
  let start = 0;
  let end = digits.length;
  while (start < end && digits[start] === "0") start++;
  if (start === end) return "0";
  while (digits[end - 1] === "0") end--;
  const shift = Number(exponent) - fraction.length + (digits.length - end);
  return `${sign}${digits.slice(start, end)}e${shift}`;
}
