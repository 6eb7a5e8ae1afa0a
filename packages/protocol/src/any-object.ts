import { Type } from "typebox";

/**
 * The schema of an object with any members. `Type.Record` would match a pattern against every member's name.
 */
export const anyObject = (options: { description?: string } = {}) =>
  Type.Unsafe<Record<string, unknown>>({ type: "object", additionalProperties: true, ...options });
