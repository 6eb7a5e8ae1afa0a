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

/** Schemas that the document defines once, under these names, and refers to. */
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

/** Fastify rewrites schemas before they reach the document; this member still identifies the component. */
const COMPONENT = "x-component";

/** Copies a schema and adds its name to every component in it. */
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
  /** Statuses of the errors that the route answers. */
  errors: number[];
  /** Whether the route needs a key; true by default. */
  keyed?: boolean;
}

/** Returns a route's schema for Fastify, which checks requests and appears in the document. */
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

/** The parts of the document that do not depend on the routes. */
export const OPENAPI_HEAD = {
  openapi: "3.1.0",
  info: {
    title: "Tidemark",
    version: VERSION,
    description: "Keeps a vector store in sync with its sources: push changes, and search the records.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  },
  servers: [{ url: "http://127.0.0.1:8787", description: "A server started with npm start" }],
  tags: [
    { name: "Pipeline", description: "Data pipelines call these endpoints. Both prefixes behave the same." },
    { name: "Health", description: "Checks for connectors and monitoring." },
    { name: "Vector stores", description: "Manage vector stores with an admin key." },
    { name: "Connectors", description: "Manage connectors and their keys with an admin key." },
    { name: "Contents", description: "List the namespaces, records, refreshes and syncs of a vector store." },
    { name: "Search", description: "Search a vector store with a reader or admin key." },
    { name: "Operations", description: "Probes for load balancers and orchestrators." },
  ],
  components: {
    securitySchemes: { apiKey: { type: "apiKey", in: "header", name: "X-API-Key" } },
  },
  security: [{ apiKey: [] }],
} as const;

/** Moves the named schemas to `components`, leaves references in their place, and adds the examples. */
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
