import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Tidemark, type TidemarkOptions, type Wait } from "@tidemark/client";
import { parseJson } from "@tidemark/protocol/parse-json";
import { DEFAULT_URL, type ServerOptions } from "./options.ts";

/** The members of a profile, in a JSON file of profiles by name, and the variables that go before them. */
const VARIABLES = {
  url: "TIDEMARK_URL",
  api_key: "TIDEMARK_API_KEY",
  organization: "TIDEMARK_ORGANIZATION",
  store: "TIDEMARK_STORE",
} as const;

type Profile = { [Member in keyof typeof VARIABLES]?: string };

/**
 * A client for the server and the store that options, environment and profile name.
 * @throws as {@link clientOptions}
 */
export const openClient = (options: ServerOptions, onWait: (wait: Wait) => void): Tidemark =>
  new Tidemark({ ...clientOptions(options), onWait });

/**
 * The server and the store that options, environment and profile name. The key is never an option: options are seen by
 * everyone on the machine.
 * @throws Error that says what is missing
 */
export function clientOptions(options: ServerOptions): TidemarkOptions {
  const profile = readProfile(options.profile);
  const setting = (member: keyof Profile, option: string | undefined): string | undefined =>
    option ?? (process.env[VARIABLES[member]] || profile[member]);
  const need = (member: keyof Profile, option?: string): string => {
    const value = setting(member, option);
    if (value) return value;
    const named = member === "api_key" ? "" : `give --${member} or `;
    throw new Error(`There is no ${member}: ${named}set ${VARIABLES[member]}, or write it into a profile.`);
  };
  return {
    url: setting("url", options.url) ?? DEFAULT_URL,
    apiKey: need("api_key"),
    organizationId: need("organization", options.organization),
    vectorStoreId: need("store", options.store),
  };
}

/** @throws Error if the file cannot be read as profiles, or has not the one that is named */
function readProfile(option: string | undefined): Profile {
  const name = option ?? (process.env.TIDEMARK_PROFILE || undefined);
  const folder = process.env.XDG_CONFIG_HOME || join(homedir(), ".config");
  const path = process.env.TIDEMARK_CONFIG || join(folder, "tidemark", "config.json");
  let profiles: Record<string, Profile>;
  try {
    profiles = parseJson(readFileSync(path, "utf8")) as typeof profiles;
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === "ENOENT";
    if (isAbsent && name === undefined) return {};
    throw new Error(`The profiles in ${path} cannot be read: ${(error as Error).message}`);
  }
  const profile = Object.hasOwn(profiles, name ?? "default") ? profiles[name ?? "default"] : undefined;
  if (profile === undefined && name !== undefined) throw new Error(`${path} has no profile ${name}.`);
  return profile ?? {};
}
