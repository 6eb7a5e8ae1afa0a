import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import formatsModule from "ajv-formats";
import { fieldPath } from "./failure.ts";

/** A fault of a record, and its place. */
export interface Misfit {
  field: string | undefined;
  message: string;
}

/** Returns the fault of a record; undefined if it is valid. */
export type CheckRecord = (record: unknown) => Misfit | undefined;

type Schema = Record<string, unknown>;

// The types describe the CommonJS module, but Node imports its `default` itself.
const addFormats = formatsModule as unknown as typeof formatsModule.default;

/** Date-times as databases write them: without a zone, with a space instead of the T, or only a date. */
const DATE = "\\d{4}-[01]\\d-[0-3]\\d";
const TIME = "[0-2]\\d:[0-5]\\d(?::[0-6]\\d(?:\\.\\d+)?)?(?: ?(?:z|[+-]\\d\\d(?::?\\d\\d)?))?";
const LENIENT = {
  "date-time": new RegExp(`^${DATE}(?:[t ]${TIME})?$`, "i"),
  date: new RegExp(`^${DATE}(?:[t ]${TIME})?$`, "i"),
  time: new RegExp(`^${TIME}$`, "i"),
};

/** Compiles the JSON Schemas of streams, drafts 4 to 7. */
export class SchemaCompiler {
  #ajv: Ajv;

  constructor() {
    this.#ajv = new Ajv({
      // Taps use their own keywords and formats.
      strict: false,
      logger: false,
      addUsedSchema: false,
      // Taps write Python patterns, whose escapes the Unicode mode rejects.
      unicodeRegExp: false,
      // 0.1 + 0.2 must be a multiple of 0.1.
      multipleOfPrecision: 9,
    });
    addFormats(this.#ajv, { mode: "fast", keywords: false });
    for (const [name, format] of Object.entries(LENIENT)) this.#ajv.addFormat(name, format);
  }

  /** @throws Error if it is not a JSON Schema */
  compile(schema: Schema): CheckRecord {
    const normal = inDraft7(schema) as Schema;
    const validate = this.#ajv.compile(normal);
    // Each schema is compiled once, without a cache, which would grow with every schema of a long run.
    this.#ajv.removeSchema(normal);
    const properties = new Set(Object.keys(schema.properties as object));
    return (record) => check(validate, withoutOwnColumns(record as Schema, properties));
  }
}

function check(validate: ValidateFunction, record: unknown): Misfit | undefined {
  if (validate(record)) return undefined;
  const { instancePath, keyword, params, message = "is not valid" } = validate.errors![0] as ErrorObject;
  const path = instancePath
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((step) => (/^\d+$/.test(step) ? Number(step) : step));
  if (keyword === "required") {
    return {
      field: fieldPath([...path, params.missingProperty]),
      message: "The record lacks this property.",
    };
  }
  if (keyword === "additionalProperties") {
    return {
      field: fieldPath([...path, params.additionalProperty]),
      message: "The schema has no such property.",
    };
  }
  const allowed = keyword === "enum" ? `: ${JSON.stringify(params.allowedValues).slice(0, 200)}` : "";
  const field = path.length > 0 ? fieldPath(path) : undefined;
  return { field, message: `The value ${message}${allowed}.` };
}

/** Taps add columns such as _sdc_deleted_at that their schema does not name. */
function withoutOwnColumns(record: Schema, properties: Set<string>): Schema {
  const extra = Object.keys(record).filter((name) => name.startsWith("_sdc_") && !properties.has(name));
  if (extra.length === 0) return record;
  return Object.fromEntries(Object.entries(record).filter(([name]) => !extra.includes(name)));
}

const MAPS = new Set(["properties", "patternProperties", "definitions", "$defs", "dependencies"]);
const SCHEMAS = new Set([
  ...["items", "additionalItems", "additionalProperties", "contains", "propertyNames", "not"],
  ...["anyOf", "allOf", "oneOf", "if", "then", "else"],
]);

/**
 * Rewrites a draft 4 schema as draft 7, and removes schema ids, because each schema stands alone.
 */
function inDraft7(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(inDraft7);
  if (typeof schema !== "object" || schema === null) return schema;
  const normal: Schema = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === "$schema" || keyword === "$id" || keyword === "id") continue;
    if (MAPS.has(keyword) && typeof value === "object" && value !== null) {
      normal[keyword] = Object.fromEntries(
        Object.entries(value).map(([name, child]) => [name, inDraft7(child)]),
      );
    } else normal[keyword] = SCHEMAS.has(keyword) ? inDraft7(value) : value;
  }
  for (const [exclusive, bound] of [
    ["exclusiveMinimum", "minimum"],
    ["exclusiveMaximum", "maximum"],
  ] as const) {
    if (typeof normal[exclusive] !== "boolean") continue;
    if (normal[exclusive] && bound in normal) {
      normal[exclusive] = normal[bound];
      delete normal[bound];
    } else delete normal[exclusive];
  }
  // The keyword needs a type, and has no effect without one.
  if (!("type" in normal)) delete normal.nullable;
  return normal;
}
