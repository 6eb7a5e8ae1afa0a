import { CheckExistsRequest, CheckExistsResponse } from "@tidemark/protocol/check-exists";
import { ERRORS, type ErrorCode } from "@tidemark/protocol/errors";
import { HealthResponse, ValidateResponse } from "@tidemark/protocol/health";
import {
  Connector,
  ConnectorKey,
  CreateConnector,
  CreateVectorStore,
  NewConnector,
  NewConnectorKey,
  UpdateVectorStore,
  VectorStore,
} from "@tidemark/protocol/management";
import { SyncOperation, SyncRequest, SyncResponse } from "@tidemark/protocol/sync";
import { type TSchema, Type } from "typebox";
import { VERSION } from "../version.ts";
import { EXAMPLES } from "./examples.ts";

const ErrorResponse = Type.Object({
  success: Type.Literal(false),
  error: Type.Object({
    code: Type.Enum(Object.keys(ERRORS) as ErrorCode[]),
    message: Type.String(),
    system_message: Type.String(),
    type: Type.String(),
    status: Type.Integer(),
    trace_id: Type.String(),
    timestamp: Type.String({ format: "date-time" }),
    details: Type.Record(Type.String(), Type.Unknown()),
  }),
});

/** Schemas that the document names once and refers to. */
const COMPONENTS: Record<string, TSchema> = {
  CheckExistsRequest,
  CheckExistsResponse,
  SyncRequest,
  SyncOperation,
  SyncResponse,
  HealthResponse,
  ValidateResponse,
  VectorStore,
  CreateVectorStore,
  UpdateVectorStore,
  Connector,
  NewConnector,
  CreateConnector,
  ConnectorKey,
  NewConnectorKey,
  ErrorResponse,
};

interface RouteDescription {
  tag: "Pipeline" | "Health" | "Vector stores" | "Connectors" | "Operations";
  summary: string;
  body?: TSchema;
  params?: TSchema;
  querystring?: TSchema;
  /** The body of the 200, or of the status in `status`. */
  response: TSchema;
  status?: number;
  /** Statuses of errors that it answers. */
  errors: number[];
  /** False: no key is needed. */
  keyed?: boolean;
}

/** A route's schema for Fastify: what its parts are checked against, and what the document says of it. */
export function describeRoute(route: RouteDescription) {
  const { tag, summary, body, params, querystring, response, status = 200, errors, keyed = true } = route;
  const responses: Record<number, unknown> = { [status]: { description: "Done.", ...response } };
  for (const error of errors) responses[error] = { description: errorDescription(error), ...ErrorResponse };
  return {
    tags: [tag],
    summary,
    ...(keyed ? {} : { security: [] }),
    ...(body ? { body } : {}),
    ...(params ? { params } : {}),
    ...(querystring ? { querystring } : {}),
    response: responses,
  };
}

function errorDescription(status: number): string {
  const codes = Object.entries(ERRORS).filter(([, definition]) => definition.status === status);
  return codes.map(([code]) => code).join(", ");
}

/** The head of the document. */
export const OPENAPI_HEAD = {
  openapi: "3.1.0",
  info: {
    title: "Tidemark",
    version: VERSION,
    description: "Keeps a vector store level with its sources: push what changed, and search what is there.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  },
  servers: [{ url: "http://127.0.0.1:8787", description: "A server started with npm start" }],
  tags: [
    { name: "Pipeline", description: "What data pipelines call. Both prefixes behave the same." },
    { name: "Health", description: "For connectors and monitors." },
    { name: "Vector stores", description: "Management, with an admin key." },
    { name: "Connectors", description: "Management, with an admin key." },
    { name: "Operations", description: "For the machine's own probes and metrics." },
  ],
  components: {
    securitySchemes: { apiKey: { type: "apiKey", in: "header", name: "X-API-Key" } },
  },
  security: [{ apiKey: [] }],
} as const;

/** Puts the named schemas into `components`, refers to them where they stand, and adds the examples. */
export function finishDocument(document: object): object {
  const names = new Map(Object.entries(COMPONENTS).map(([name, schema]) => [JSON.stringify(schema), name]));
  const replace = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null) return value;
    const name = names.get(JSON.stringify(value));
    if (name) return { $ref: `#/components/schemas/${name}` };
    if (Array.isArray(value)) return value.map(replace);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replace(item)]));
  };
  const finished = replace(document) as { components: { schemas: object } };
  finished.components.schemas = Object.fromEntries(
    Object.entries(COMPONENTS).map(([name, schema]) => {
      const members = Object.fromEntries(Object.entries(schema).map(([key, item]) => [key, replace(item)]));
      const examples = EXAMPLES[name];
      return [name, examples ? { ...members, examples } : members];
    }),
  );
  return finished;
}
