import { anyObject } from "@tidemark/protocol/any-object";
import { NamespaceObject, RecordObject, RefreshObject, SyncObject } from "@tidemark/protocol/browse";
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
import { SearchRequest, SearchResponse, SearchResult } from "@tidemark/protocol/search";
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
    details: anyObject(),
  }),
});

/** Schemas that the document names once and refers to. */
const COMPONENTS: Record<string, TSchema> = {
  CheckExistsRequest,
  CheckExistsResponse,
  SyncRequest,
  SyncOperation,
  SyncResponse,
  NamespaceObject,
  RecordObject,
  RefreshObject,
  SyncObject,
  SearchRequest,
  SearchResponse,
  SearchResult,
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

const NAMES = new Map(Object.entries(COMPONENTS).map(([name, schema]) => [JSON.stringify(schema), name]));

/** On its way into the document a schema is rewritten; this member tells which of the components it is. */
const COMPONENT = "x-component";

/** A copy of a schema in which every component says its name. */
function markComponents<T>(schema: T): T {
  if (typeof schema !== "object" || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map(markComponents) as T;
  const members = Object.fromEntries(
    Object.entries(schema).map(([key, item]) => [key, markComponents(item)]),
  ) as T;
  const name = NAMES.get(JSON.stringify(schema));
  return name ? { ...members, [COMPONENT]: name } : members;
}

export interface RouteDescription {
  tag: "Pipeline" | "Health" | "Vector stores" | "Connectors" | "Contents" | "Search" | "Operations";
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
  const responses: Record<number, unknown> = {
    [status]: { description: "Done.", ...markComponents(response) },
  };
  for (const error of errors) {
    responses[error] = { ...markComponents(ErrorResponse), description: errorDescription(error) };
  }
  return {
    tags: [tag],
    summary,
    ...(keyed ? {} : { security: [] }),
    ...(body ? { body: markComponents(body) } : {}),
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
    description:
      "Keeps a vector store in sync with its sources: push what changed, and search what is there.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  },
  servers: [{ url: "http://127.0.0.1:8787", description: "A server started with npm start" }],
  tags: [
    { name: "Pipeline", description: "What data pipelines call. Both prefixes behave the same." },
    { name: "Health", description: "For connectors and monitors." },
    { name: "Vector stores", description: "Management, with an admin key." },
    { name: "Connectors", description: "Management, with an admin key." },
    { name: "Contents", description: "What a store holds, and how it came there." },
    { name: "Search", description: "What applications and agents ask, with a reader's key." },
    { name: "Operations", description: "For the machine's own probes and metrics." },
  ],
  components: {
    securitySchemes: { apiKey: { type: "apiKey", in: "header", name: "X-API-Key" } },
  },
  security: [{ apiKey: [] }],
} as const;

/** Puts the named schemas into `components`, refers to them where they stand, and adds the examples. */
export function finishDocument(document: object): object {
  const finished = referToComponents(document) as { components: { schemas: object } };
  finished.components.schemas = Object.fromEntries(
    Object.entries(COMPONENTS).map(([name, schema]) => {
      const members = Object.entries(schema).map(([key, item]) => [
        key,
        referToComponents(markComponents(item)),
      ]);
      const examples = EXAMPLES[name];
      return [name, { ...Object.fromEntries(members), ...(examples ? { examples } : {}) }];
    }),
  );
  return finished;
}

function referToComponents(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(referToComponents);
  const name = (value as { [COMPONENT]?: string })[COMPONENT];
  if (name) return { $ref: `#/components/schemas/${name}` };
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, referToComponents(item)]));
}
