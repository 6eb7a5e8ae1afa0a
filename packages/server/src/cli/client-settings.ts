import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Tidemark, type TidemarkOptions, type Wait } from "@tidemark/client";
import { parseJson } from "@tidemark/protocol/parse-json";
import { DEFAULT_URL, type ServerOptions } from "./options.ts";

/** The members of a profile, and the environment variables that override them. */
const VARIABLES = {
  url: "TIDEMARK_URL",
  api_key: "TIDEMARK_API_KEY",
  organization: "TIDEMARK_ORGANIZATION",
  store: "TIDEMARK_STORE",
} as const;

type Profile = { [Member in keyof typeof VARIABLES]?: string };

/**
 * Opens a client for the server and store that options, environment or profile name.
 * @throws as {@link clientOptions}
 */
export const openClient = (options: ServerOptions, onWait: (wait: Wait) => void): Tidemark =>
  new Tidemark({ ...clientOptions(options), onWait });

/**
 * Reads the server and store to use from the options, the environment and the profile, in this order.
 * The key is never an option, because every user of the machine can see a process's options.
 * @throws Error if a setting is missing
 */
export function clientOptions(options: ServerOptions): TidemarkOptions {
  const profile = readProfile(options.profile);
  const setting = (member: keyof Profile, option: string | undefined): string | undefined =>
    option ?? (process.env[VARIABLES[member]] || profile[member]);
  const required = (member: keyof Profile, option?: string): string => {
    const value = setting(member, option);
    if (value) return value;
    const advice = member === "api_key" ? "" : `give --${member}, `;
    throw new Error(`No ${member} is set: ${advice}set ${VARIABLES[member]} or add it to a profile.`);
  };
  return {
    url: setting("url", options.url) ?? DEFAULT_URL,
    apiKey: required("api_key"),
    organizationId: required("organization", options.organization),
    vectorStoreId: required("store", options.store),
  };
}

/** @throws Error if the file cannot be read, or does not have the named profile */
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
    throw new Error(`Cannot read the profiles in ${path}: ${(error as Error).message}`);
  }
  const profile = Object.hasOwn(profiles, name ?? "default") ? profiles[name ?? "default"] : undefined;
  if (profile === undefined && name !== undefined) throw new Error(`${path} has no profile ${name}.`);
  return profile ?? {};
}
