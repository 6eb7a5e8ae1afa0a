import { isName } from "@tidemark/protocol/keepable-text";
import { LIMITS } from "@tidemark/protocol/limits";
import { type Command, InvalidArgumentError, Option } from "commander";

/** `--json`, which every command for scripts has. */
export const jsonOption = () => new Option("--json", "print JSON, for scripts").default(false);

/** Reads an id that a person chose: its prefix, then letters, digits, `-` and `_`. */
export function idParser(prefix: string) {
  const pattern = new RegExp(`^${prefix}_[A-Za-z0-9_-]{1,64}$`);
  return (text: string): string => {
    if (pattern.test(text)) return text;
    throw new InvalidArgumentError(`It must be ${prefix}_ and 1 to 64 letters, digits, - or _.`);
  };
}

/** Reads a name: 1 to 255 characters. */
export function parseName(text: string): string {
  if (isName(text, LIMITS.nameCodePoints)) return text;
  throw new InvalidArgumentError(`It must have 1 to ${LIMITS.nameCodePoints} characters.`);
}

export const organizationOption = (command: Command) =>
  command.requiredOption("--organization <id>", "the organization (org_…)");
