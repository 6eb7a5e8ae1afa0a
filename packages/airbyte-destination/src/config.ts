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
  /** How much a refresh may remove; undefined: no limit. */
  removalLimit: RemovalLimit | undefined;
  /** The maximum number of records in a request. */
  batchRecords: number;
  /** The longest time that a record or state waits, ms. */
  flushIntervalMs: number;
}

const REQUIRED = {
  url: "Server URL",
  api_key: "API key",
  organization_id: "Organization",
  vector_store_id: "Vector store",
};

/** Reads the settings that the user entered. @throws DestinationError config_error */
export function readConfig(value: unknown): DestinationConfig {
  const config = Object(value) as Record<string, unknown>;
  for (const [name, title] of Object.entries(REQUIRED)) {
    const text = config[name];
    if (typeof text !== "string" || text.trim() === "") throw configError(`${title} (${name}) is missing.`);
  }
  const { url, api_key, organization_id, vector_store_id } = config as Record<keyof typeof REQUIRED, string>;
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
    `Removal limit (removal_limit) must be a number or a percentage such as 20%, not ${JSON.stringify(text)}.`,
  );
}

function readNumber(
  config: Record<string, unknown>,
  name: string,
  minimum: number,
  maximum: number,
  defaultValue: number,
): number {
  const value = config[name] ?? defaultValue;
  if (typeof value === "number" && value >= minimum && value <= maximum) {
    if (name !== "batch_records" || Number.isInteger(value)) return value;
  }
  throw configError(`${name} must be a number from ${minimum} to ${maximum}.`);
}

/** Reads a JSON file that Airbyte provides. @throws DestinationError config_error */
export async function readJsonFile(path: string, name: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw configError(`The ${name} file cannot be read: ${(error as Error).message}.`, error);
  }
  try {
    return parseJson(text);
  } catch {
    // The parser's message may quote the API key.
    throw configError(`The ${name} file is not JSON.`);
  }
}
