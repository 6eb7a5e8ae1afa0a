import { Type } from "typebox";

/**
 * The schema of an object with any members. A record of unknown values would say the same by a pattern that every name
 * matches, and each check would try it on each name.
 */
export const anyObject = (options: { description?: string } = {}) =>
  Type.Unsafe<Record<string, unknown>>({ type: "object", additionalProperties: true, ...options });
