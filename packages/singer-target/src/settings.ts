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
  /** undefined: the default of a removal limit, which depends on the namespace's size. */
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
    url: text("Where the Tidemark server is, such as https://tidemark.example.", {
      ...required,
      pattern: "^https?://",
    }),
    api_key: text("The connector's key.", { ...required, secret: true, writeOnly: true }),
    organization_id: text("The organization, org_….", required),
    vector_store_id: text("The vector store, vs_….", required),
    namespace_prefix: text("Put before the stream's name to make the namespace, such as github_.", {
      default: "",
    }),
    hard_delete: flag(
      false,
      "Delete records that come with _sdc_deleted_at; otherwise they are kept, with it.",
    ),
    process_activate_version_messages: flag(
      true,
      "Remove what older versions of a table left when the tap activates a newer one.",
    ),
    removal_limit: {
      type: ["integer", "string"],
      minimum: 0,
      pattern: "^(none|(100|[1-9]?[0-9])(\\.[0-9]{1,6})?%)$",
      description:
        "How many records of a namespace an ACTIVATE_VERSION may remove: a number, a percentage such as 20%, or none for no limit. Default: 50% of a namespace of more than 100 records.",
    },
    validate_records: flag(true, "Check records against the schema of their stream."),
    add_record_metadata: flag(
      false,
      "Add _sdc_ columns to each record. They differ in every run, so every record is then a changed one.",
    ),
    inexact_numbers: text("Numbers with more digits than a double can hold: an error, or kept as text.", {
      enum: ["refuse", "text"],
      default: "refuse",
    }),
    replace_invalid_text: flag(
      true,
      "Put U+FFFD for U+0000 and for half a surrogate pair, which the store cannot keep; otherwise an error.",
    ),
    source_system: text("The source_system of the records.", { default: "singer", maxLength: 255 }),
    batch_size_rows: {
      type: "integer",
      minimum: 1,
      maximum: BATCH_LIMITS.operations,
      default: BATCH_LIMITS.operations,
      description: "Records of a request at most.",
    },
    batch_size_bytes: {
      type: "integer",
      minimum: 1,
      maximum: 60 * 1024 * 1024,
      default: BATCH_LIMITS.bytes,
      description: "Bytes of a request's records at most; a larger record is sent alone.",
    },
    batch_wait_limit_seconds: {
      type: "number",
      exclusiveMinimum: 0,
      maximum: 86_400,
      default: 30,
      description: "Seconds that a record or a STATE waits at most until it is sent.",
    },
    retries: {
      type: "integer",
      minimum: 0,
      maximum: 1000,
      default: 7,
      description:
        "Times that a request is sent again if the server cannot be reached or failed; 7 are some 25 seconds, each one after that is 30 more.",
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
