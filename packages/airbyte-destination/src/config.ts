import { readFile } from "node:fs/promises";
import type { RemovalLimit } from "@tidemark/client";
import { BATCH_LIMITS } from "@tidemark/protocol/operation-batch";
import { parseJson } from "@tidemark/protocol/parse-json";
import { configError } from "./failure.ts";

export interface DestinationConfig {
  url: string;
  apiKey: string;
  organizationId: string;
  vectorStoreId: string;
  /** How much a refresh may remove; undefined: anything. */
  removalLimit: RemovalLimit | undefined;
  /** Records of a request at most. */
  batchRecords: number;
  /** How long a record or state waits at most before it is sent on, ms. */
  flushIntervalMs: number;
}

const TEXTS = {
  url: "Server URL",
  api_key: "API key",
  organization_id: "Organization",
  vector_store_id: "Vector store",
};

/** Checks what the user has put in. @throws DestinationError config_error */
export function readConfig(value: unknown): DestinationConfig {
  const config = Object(value) as Record<string, unknown>;
  for (const [name, title] of Object.entries(TEXTS)) {
    const text = config[name];
    if (typeof text !== "string" || text.trim() === "") throw configError(`${title} (${name}) is missing.`);
  }
  const { url, api_key, organization_id, vector_store_id } = config as Record<keyof typeof TEXTS, string>;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw configError(`Server URL (url) is not an http or https address: ${JSON.stringify(url)}.`);
  }
  return {
    url,
    apiKey: api_key.trim(),
    organizationId: organization_id.trim(),
    vectorStoreId: vector_store_id.trim(),
    removalLimit: readRemovalLimit(config.removal_limit),
    batchRecords: readNumber(config, "batch_records", 1, BATCH_LIMITS.operations, BATCH_LIMITS.operations),
    flushIntervalMs: readNumber(config, "flush_interval_seconds", 0.1, 3600, 30) * 1000,
  };
}

function readRemovalLimit(value: unknown): RemovalLimit | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const text = String(value);
  if (/^\d{1,9}$/.test(text)) return Number(text);
  if (/^(100|[1-9]?\d)(\.\d{1,6})?%$/.test(text) && Number.parseFloat(text) <= 100)
    return text as `${number}%`;
  throw configError(
    `Removal limit (removal_limit) must be a number or a percentage such as 20%: ${JSON.stringify(text)}.`,
  );
}

function readNumber(
  config: Record<string, unknown>,
  name: string,
  least: number,
  most: number,
  usual: number,
): number {
  const value = config[name] ?? usual;
  if (typeof value === "number" && value >= least && value <= most) {
    if (name !== "batch_records" || Number.isInteger(value)) return value;
  }
  throw configError(`${name} must be a number from ${least} to ${most}.`);
}

/** Reads a JSON file that Airbyte hands over. @throws DestinationError config_error */
export async function readJsonFile(path: string, what: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw configError(`The ${what} file cannot be read: ${(error as Error).message}.`, error);
  }
  try {
    return parseJson(text);
  } catch {
    // Not the parser's message, which quotes what may be a key.
    throw configError(`The ${what} file is not JSON.`);
  }
}
