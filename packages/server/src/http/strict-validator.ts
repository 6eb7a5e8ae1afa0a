import { validationError } from "@tidemark/protocol/errors";
import type { FastifySchemaCompiler } from "fastify";
import type { TSchema } from "typebox";
import { shapeCheck } from "../wire/check-shape.ts";

/** Checks a request's parts against their schemas, without coercing JSON types. */
export const strictValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const check = shapeCheck(schema);
  return (data: unknown) => {
    // A missing body is valid if all its fields are optional.
    const missing = httpPart === "body" && (data === undefined || data === null);
    const value = missing ? {} : httpPart === "querystring" ? readNumbers(schema, data) : data;
    return check.matches(value) ? { value } : { error: validationError(check.errors(value)) };
  };
};

/** Converts the query parameters that the schema declares as integers. */
function readNumbers(schema: TSchema, query: unknown): Record<string, unknown> {
  const { properties = {} } = schema as { properties?: Record<string, { type?: string }> };
  return Object.fromEntries(
    Object.entries(query as Record<string, string>).map(([name, text]) => {
      const isNumber = properties[name]?.type === "integer" && /^-?\d{1,15}$/.test(text);
      return [name, isNumber ? Number(text) : text];
    }),
  );
}
