import { type Static, Type } from "typebox";
import { anyObject } from "./any-object.ts";

export const HealthStatus = Type.Enum(["healthy", "degraded", "unhealthy"]);
export type HealthStatus = Static<typeof HealthStatus>;

export const HealthResponse = Type.Object({
  status: HealthStatus,
  components: Type.Array(
    Type.Object({
      name: Type.String(),
      status: HealthStatus,
      details: anyObject(),
    }),
  ),
  version: Type.String(),
  timestamp: Type.String({ format: "date-time" }),
});
export type HealthResponse = Static<typeof HealthResponse>;

const Check = Type.Object({
  valid: Type.Boolean(),
  message: Type.Optional(Type.String()),
  error: Type.Optional(Type.String()),
  vector_store_name: Type.Optional(Type.String()),
});
export type Check = Static<typeof Check>;

export const ValidateChecks = Type.Object({
  api_key: Check,
  organization: Check,
  vector_store_record: Check,
  vector_store: Check,
  index: Check,
});
export type ValidateChecks = Static<typeof ValidateChecks>;

export const ValidateResponse = Type.Object({
  status: Type.Enum(["valid"]),
  checks: ValidateChecks,
  timestamp: Type.String({ format: "date-time" }),
});
export type ValidateResponse = Static<typeof ValidateResponse>;
