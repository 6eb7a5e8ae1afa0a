import { readFileSync } from "node:fs";
import type { RemovalLimit } from "@tidemark/client";
import { BATCH_LIMITS } from "@tidemark/protocol/operation-batch";
import { parseJson } from "@tidemark/protocol/parse-json";
import { Ajv } from "ajv";
import { TargetError } from "./failure.ts";

export interface Settings {
  url: string;
  api_key: string;
  organization_id: string;
  vector_store_id: string;
  namespace_prefix: string;
  hard_delete: boolean;
  process_activate_version_messages: boolean;
  /** undefined means the default removal limit, which depends on the namespace's size. */
  removal_limit?: number | "none" | `${number}%`;
  validate_records: boolean;
  add_record_metadata: boolean;
  inexact_numbers: "refuse" | "text";
  replace_invalid_text: boolean;
  source_system: string;
  batch_size_rows: number;
  batch_size_bytes: number;
  batch_wait_limit_seconds: number;
  retries: number;
}

const text = (description: string, more: object = {}) => ({ type: "string", description, ...more });
const flag = (value: boolean, description: string) => ({ type: "boolean", default: value, description });
const required = { minLength: 1 };

/** Every setting, as the JSON Schema that `--about` shows. */
export const SETTINGS = {
  type: "object",
  required: ["url", "api_key", "organization_id", "vector_store_id"],
  additionalProperties: false,
  properties: {
    url: text("The address of the Tidemark server, such as https://tidemark.example.", {
      ...required,
      pattern: "^https?://",
    }),
    api_key: text("The connector's key.", { ...required, secret: true, writeOnly: true }),
    organization_id: text("The id of the organization, org_….", required),
    vector_store_id: text("The id of the vector store, vs_….", required),
    namespace_prefix: text(
      "A prefix for the stream's name, such as github_. Both together are the namespace.",
      {
        default: "",
      },
    ),
    hard_delete: flag(false, "Delete records that have _sdc_deleted_at. If false, they are stored with it."),
    process_activate_version_messages: flag(
      true,
      "Remove the records of older versions of a table when the tap activates a newer version.",
    ),
    removal_limit: {
      type: ["integer", "string"],
      minimum: 0,
      pattern: "^(none|(100|[1-9]?[0-9])(\\.[0-9]{1,6})?%)$",
      description:
        "How many records of a namespace an ACTIVATE_VERSION may remove: a number, a percentage such as 20%, or none for no limit. Default: 50% if the namespace has more than 100 records.",
    },
    validate_records: flag(true, "Validate records against the schema of their stream."),
    add_record_metadata: flag(
      false,
      "Add _sdc_ columns to each record. They differ in every run, so every run changes every record.",
    ),
    inexact_numbers: text(
      "Whether to refuse numbers with more digits than a double can hold, or to store them as text.",
      {
        enum: ["refuse", "text"],
        default: "refuse",
      },
    ),
    replace_invalid_text: flag(
      true,
      "Replace U+0000 and unpaired surrogates, which the store cannot keep, by U+FFFD. If false, they are an error.",
    ),
    source_system: text("The source_system of the records.", { default: "singer", maxLength: 255 }),
    batch_size_rows: {
      type: "integer",
      minimum: 1,
      maximum: BATCH_LIMITS.operations,
      default: BATCH_LIMITS.operations,
      description: "The maximum number of records in a request.",
    },
    batch_size_bytes: {
      type: "integer",
      minimum: 1,
      maximum: 60 * 1024 * 1024,
      default: BATCH_LIMITS.bytes,
      description: "The maximum number of bytes of the records in a request. A larger record is sent alone.",
    },
    batch_wait_limit_seconds: {
      type: "number",
      exclusiveMinimum: 0,
      maximum: 86_400,
      default: 30,
      description: "The longest time that a record or a STATE waits, in seconds.",
    },
    retries: {
      type: "integer",
      minimum: 0,
      maximum: 1000,
      default: 7,
      description:
        "How often a request is repeated if the server cannot be reached or fails. 7 retries take about 25 seconds, and each further one 30 seconds more.",
    },
  },
};

const VARIABLES = "TARGET_TIDEMARK_";

/**
 * Reads the configuration from JSON files; later files override earlier ones. `ENV` instead of a file stands for the
 * variables `TARGET_TIDEMARK_<SETTING>`.
 * @throws TargetError that names the faulty settings, without their values
 */
export function readSettings(sources: string[], environment: NodeJS.ProcessEnv): Settings {
  const entries: Record<string, unknown> = {};
  for (const source of sources) {
    Object.assign(entries, source === "ENV" ? readVariables(environment) : readFile(source));
  }
  // Meltano passes null for settings that are not set.
  const set = Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== null));
  // Not strict, because removal_limit has two types and a keyword fits only one of them.
  const ajv = new Ajv({ useDefaults: true, allErrors: true, strict: false });
  if (ajv.validate(SETTINGS, set)) return set as unknown as Settings;
  const problems = ajv.errors!.map(({ instancePath, keyword, params, message }) => {
    if (keyword === "additionalProperties") return `${params.additionalProperty} is not a setting`;
    if (keyword === "required") return `${params.missingProperty} is missing`;
    return `${instancePath.slice(1)} ${message}`;
  });
  throw new TargetError(`The configuration is not valid: ${problems.join("; ")}.`);
}

function readFile(path: string): object {
  let parsed: unknown;
  try {
    parsed = parseJson(readFileSync(path, "utf8"));
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? "it is not JSON";
    throw new TargetError(`The configuration ${JSON.stringify(path)} cannot be read: ${reason}.`);
  }
  if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
  throw new TargetError(`The configuration ${JSON.stringify(path)} is not a JSON object.`);
}

/** Reads the variables that name a setting, and converts numbers and booleans. */
function readVariables(environment: NodeJS.ProcessEnv): object {
  const settings = Object.entries(SETTINGS.properties).flatMap(([name, { type }]) => {
    const value = environment[VARIABLES + name.toUpperCase()];
    if (value === undefined || value === "") return [];
    const isText = type === "string" || (name === "removal_limit" && !/^\d+$/.test(value));
    return [[name, isText ? value : typed(value)]];
  });
  return Object.fromEntries(settings);
}

function typed(value: string): unknown {
  if (/^(true|false)$/i.test(value)) return value.toLowerCase() === "true";
  return /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
}

/** The removal limit in the form that the SDK takes. */
export function removalLimitOf({ removal_limit: limit }: Settings): RemovalLimit | undefined {
  return limit === "none" ? false : limit;
}
