import { NamespaceObject, RecordObject, RefreshObject, SyncObject } from "@tidemark/protocol/browse";
import { ConnectorId, Namespace, RecordId } from "@tidemark/protocol/identifiers";
import { Deleted, ListOf, PageQuery, type Role } from "@tidemark/protocol/management";
import { SyncMode } from "@tidemark/protocol/sync";
import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import type { HttpContext } from "./context.ts";
import { keyedRoutes, StoreParams } from "./keyed-routes.ts";
import { strictValidator } from "./strict-validator.ts";

const RefreshParams = Type.Object({ ...StoreParams.properties, run_id: Type.String() });
const SyncParams = Type.Object({ ...StoreParams.properties, sync_id: Type.String() });

const strict = { additionalProperties: false };
const RecordsQuery = Type.Object({ ...PageQuery.properties, namespace: Namespace }, strict);
const RecordQuery = Type.Object({ namespace: Namespace, id: RecordId }, strict);
const SyncsQuery = Type.Object(
  {
    ...PageQuery.properties,
    connector_id: Type.Optional(ConnectorId),
    sync_mode: Type.Optional(SyncMode),
  },
  strict,
);

const ANY_ROLE: Role[] = ["admin", "reader", "connector"];

/** Routes that list a store's namespaces, records, unfinished refreshes and syncs. */
export function browseRoutes(context: HttpContext) {
  return async (app: FastifyInstance) => {
    app.setValidatorCompiler(strictValidator);
    app.addHook("onRequest", context.authentication.authenticate);
    addRecordRoutes(app, context);
    addSyncRoutes(app, context);
  };
}

function addRecordRoutes(app: FastifyInstance, { commands }: HttpContext): void {
  const route = keyedRoutes(app, "Contents");
  route("GET", "/namespaces", {
    summary: "List the namespaces with their counts and digests",
    params: StoreParams,
    querystring: PageQuery,
    response: ListOf(NamespaceObject),
    roles: ANY_ROLE,
    handler: ({ params, query }) =>
      commands.listNamespaces(params.organization_id, params.vector_store_id, query),
  });
  route("GET", "/records", {
    summary: "List the records of a namespace",
    params: StoreParams,
    querystring: RecordsQuery,
    response: ListOf(RecordObject),
    errors: [409],
    roles: ANY_ROLE,
    handler: ({ params, query }) =>
      commands.listRecords(params.organization_id, params.vector_store_id, query),
  });
  route("GET", "/record", {
    summary: "Get one record",
    params: StoreParams,
    querystring: RecordQuery,
    response: RecordObject,
    roles: ANY_ROLE,
    handler: ({ params, query }) => commands.getRecord(params.organization_id, params.vector_store_id, query),
  });
}

/** Routes of refreshes and syncs; a connector sees only its own. */
function addSyncRoutes(app: FastifyInstance, { commands }: HttpContext): void {
  const route = keyedRoutes(app, "Contents");
  route("GET", "/refreshes", {
    summary: "List the unfinished refreshes; a connector sees only its own",
    params: StoreParams,
    querystring: PageQuery,
    response: ListOf(RefreshObject),
    roles: ANY_ROLE,
    handler: ({ params: { organization_id, vector_store_id }, query, identity }) =>
      commands.listRefreshes(organization_id, vector_store_id, query, identity.connectorId),
  });
  route("DELETE", "/refreshes/:run_id", {
    summary: "Abort an unfinished refresh",
    params: RefreshParams,
    response: Deleted,
    roles: ["admin", "connector"],
    audit: "refresh.abort",
    handler: ({ params: { organization_id, vector_store_id, run_id }, identity }) =>
      commands.abortRefresh(organization_id, vector_store_id, run_id, identity.connectorId),
  });
  route("GET", "/syncs", {
    summary: "List the acknowledged syncs, newest first; a connector sees only its own",
    params: StoreParams,
    querystring: SyncsQuery,
    response: ListOf(SyncObject),
    roles: ANY_ROLE,
    handler: ({ params: { organization_id, vector_store_id }, query, identity }) =>
      commands.listSyncs(organization_id, vector_store_id, query, identity.connectorId),
  });
  route("GET", "/syncs/:sync_id", {
    summary: "Get one sync",
    params: SyncParams,
    response: SyncObject,
    roles: ANY_ROLE,
    handler: ({ params: { organization_id, vector_store_id, sync_id }, identity }) =>
      commands.getSync(organization_id, vector_store_id, sync_id, identity.connectorId),
  });
}
