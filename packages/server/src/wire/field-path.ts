/** Longer keys are shortened: a path only has to help a person find the field. */
const SHOWN_KEY_LENGTH = 100;

/** The path of a field as errors name it: `operations[4999].data.title`, or `body` for the whole body. */
export function fieldPath(path: (string | number)[]): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (/^[A-Za-z_$][\w$]{0,99}$/.test(step)) text += text ? `.${step}` : step;
    else
      text += `[${JSON.stringify(step.length > SHOWN_KEY_LENGTH ? `${step.slice(0, SHOWN_KEY_LENGTH)}…` : step)}]`;
  }
  return text || "body";
}
