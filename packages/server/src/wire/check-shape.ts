import type { FieldError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import { parseDateTime } from "@tidemark/protocol/timestamps";
import type { Static, TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { Settings } from "typebox/system";
import { fieldPath } from "./field-path.ts";

/** The most errors collected from one value: room for every id of a full batch, and a limit for hostile bodies. */
export const ERRORS_PER_VALUE = 10_000;

/** Checks values against one schema. */
export interface ShapeCheck<T> {
  /** Whether the value has the schema's shape. Formats are not checked: see {@link checkDateTime}. */
  matches(value: unknown): value is T;
  /** The errors of a value that does not match. @param at the value's path in the request */
  errors(value: unknown, at?: (string | number)[]): FieldError[];
}

/** Compiles a schema into a check. */
export function shapeCheck<S extends TSchema>(schema: S): ShapeCheck<Static<S>> {
  const compiled = Compile(withoutFormats(schema));
  return {
    matches: (value): value is Static<S> => compiled.Check(value),
    errors: (value, at = []) => {
      // A value with a path may be one of thousands, so no more errors are collected than an answer lists.
      Settings.Set({ maxErrors: at.length > 0 ? LIMITS.listedErrors : ERRORS_PER_VALUE });
      return compiled.Errors(value).flatMap((error) => describe(error as SchemaError, value, at));
    },
  };
}

function withoutFormats<S extends TSchema>(schema: S): S {
  const isFormat = (key: string, value: unknown) => key === "format" && typeof value === "string";
  return JSON.parse(JSON.stringify(schema, (key, value) => (isFormat(key, value) ? undefined : value)));
}

interface SchemaError {
  keyword: string;
  instancePath: string;
  params: Record<string, unknown>;
  message: string;
}

const fieldErrorsByKeyword: Record<
  string,
  (error: SchemaError) => { code: string; message: string } | undefined
> = {
  type: ({ params }) => ({ code: "INVALID_TYPE", message: `Must be ${typeName(params.type)}.` }),
  enum: ({ params }) => ({
    code: "INVALID_VALUE",
    message: `Must be one of ${(params.allowedValues as unknown[]).map((v) => JSON.stringify(v)).join(", ")}.`,
  }),
  pattern: ({ params }) => ({ code: "INVALID_FORMAT", message: `Must match ${params.pattern}.` }),
  minLength: ({ params }) => ({
    code: "TOO_SHORT",
    message: `Must have at least ${params.limit} character(s).`,
  }),
  maxLength: ({ params }) => ({ code: "TOO_LONG", message: `Must have at most ${params.limit} characters.` }),
  maxItems: ({ params }) => ({ code: "TOO_MANY", message: `Must have at most ${params.limit} items.` }),
  minimum: ({ params }) => ({ code: "TOO_SMALL", message: `Must be at least ${params.limit}.` }),
  maximum: ({ params }) => ({ code: "TOO_LARGE", message: `Must be at most ${params.limit}.` }),
  anyOf: () => ({ code: "INVALID_TYPE", message: "Has none of the allowed types." }),
  // The schema reports each unknown field here, and then all of them as `additionalProperties`.
  boolean: () => ({ code: "UNKNOWN_FIELD", message: "Is not a field of this request." }),
  additionalProperties: () => undefined,
};

function describe(error: SchemaError, value: unknown, at: (string | number)[]): FieldError[] {
  const path = [...at, ...pointerSteps(error.instancePath, value)];
  if (error.keyword === "required") {
    return (error.params.requiredProperties as string[]).map((name) => ({
      field: fieldPath([...path, name]),
      code: "REQUIRED",
      message: "Is required.",
    }));
  }
  const describeKeyword = fieldErrorsByKeyword[error.keyword];
  const described = describeKeyword
    ? describeKeyword(error)
    : { code: "INVALID_VALUE", message: `${error.message}.` };
  return described ? [{ field: fieldPath(path), ...described }] : [];
}

function typeName(type: unknown): string {
  if (Array.isArray(type)) return type.map(typeName).join(" or ");
  if (type === "null") return "null";
  return type === "array" || type === "integer" || type === "object" ? `an ${type}` : `a ${type}`;
}

/** The steps of a JSON pointer (RFC 6901); digits are an index if the value there is an array. */
function pointerSteps(pointer: string, value: unknown): (string | number)[] {
  let current = value;
  return pointer
    .split("/")
    .slice(1)
    .map((escaped) => {
      const key = escaped.replaceAll("~1", "/").replaceAll("~0", "~");
      const step = Array.isArray(current) ? Number(key) : key;
      current = (current as Record<string | number, unknown> | undefined)?.[step];
      return step;
    });
}

/** An error if the text is not an ISO 8601 date-time of a moment that exists. */
export function checkDateTime(
  text: string,
  field: string,
  options: { zoned: boolean },
): FieldError | undefined {
  const parsed = parseDateTime(text);
  if (parsed && (parsed.zoned || !options.zoned)) return undefined;
  const form = options.zoned ? "2025-11-11T10:30:00Z" : "2025-11-11T10:30:00Z or without a zone";
  return {
    field,
    code: "INVALID_DATE_TIME",
    message: `Must be an ISO 8601 date-time that exists, such as ${form}, with at most 9 fractional digits.`,
  };
}
