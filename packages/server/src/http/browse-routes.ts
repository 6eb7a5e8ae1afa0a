import { NamespaceObject, RecordObject, RefreshObject, SyncObject } from "@tidemark/protocol/browse";
import {
  ConnectorId,
  Namespace,
  OrganizationId,
  RecordId,
  VectorStoreId,
} from "@tidemark/protocol/identifiers";
import { Deleted, ListOf, PageQuery } from "@tidemark/protocol/management";
import { SyncMode } from "@tidemark/protocol/sync";
import type { FastifyInstance } from "fastify";
import { type Static, Type } from "typebox";
import type { HttpContext } from "./context.ts";
import { describeRoute } from "./openapi.ts";
import { permit } from "./permissions.ts";
import { strictValidator } from "./strict-validator.ts";

const StoreParams = Type.Object({ organization_id: OrganizationId, vector_store_id: VectorStoreId });
type StoreParams = Static<typeof StoreParams>;
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

const ERRORS = [401, 403, 404, 422, 503];

/** What a store holds: namespaces, records, unfinished refreshes, the history of syncs. */
export function browseRoutes({ commands, authentication }: HttpContext) {
  return async (app: FastifyInstance) => {
    app.setValidatorCompiler(strictValidator);
    app.addHook("onRequest", authentication.authenticate);
    const preHandler = permit("admin", "reader", "connector");

    app.route<{ Params: StoreParams; Querystring: Static<typeof PageQuery> }>({
      method: "GET",
      url: "/namespaces",
      schema: describeRoute({
        tag: "Contents",
        summary: "List the namespaces, with their counts and digests",
        params: StoreParams,
        querystring: PageQuery,
        response: ListOf(NamespaceObject),
        errors: ERRORS,
      }),
      preHandler,
      handler: ({ params, query }) =>
        commands.listNamespaces(params.organization_id, params.vector_store_id, query),
    });

    app.route<{ Params: StoreParams; Querystring: Static<typeof RecordsQuery> }>({
      method: "GET",
      url: "/records",
      schema: describeRoute({
        tag: "Contents",
        summary: "List the records of a namespace",
        params: StoreParams,
        querystring: RecordsQuery,
        response: ListOf(RecordObject),
        errors: [...ERRORS, 409],
      }),
      preHandler,
      handler: ({ params, query }) =>
        commands.listRecords(params.organization_id, params.vector_store_id, query),
    });

    app.route<{ Params: StoreParams; Querystring: Static<typeof RecordQuery> }>({
      method: "GET",
      url: "/record",
      schema: describeRoute({
        tag: "Contents",
        summary: "Get one record",
        params: StoreParams,
        querystring: RecordQuery,
        response: RecordObject,
        errors: ERRORS,
      }),
      preHandler,
      handler: ({ params, query }) =>
        commands.getRecord(params.organization_id, params.vector_store_id, query),
    });

    app.route<{ Params: StoreParams; Querystring: Static<typeof PageQuery> }>({
      method: "GET",
      url: "/refreshes",
      schema: describeRoute({
        tag: "Contents",
        summary: "List the unfinished staged refreshes; a connector sees its own",
        params: StoreParams,
        querystring: PageQuery,
        response: ListOf(RefreshObject),
        errors: ERRORS,
      }),
      preHandler,
      handler: ({ params, query, identity }) => {
        const { organization_id, vector_store_id } = params;
        return commands.listRefreshes(organization_id, vector_store_id, query, identity.connectorId);
      },
    });

    app.route<{ Params: Static<typeof RefreshParams> }>({
      method: "DELETE",
      url: "/refreshes/:run_id",
      schema: describeRoute({
        tag: "Contents",
        summary: "Give an unfinished refresh up",
        params: RefreshParams,
        response: Deleted,
        errors: ERRORS,
      }),
      preHandler: permit("admin", "connector"),
      handler: async (request) => {
        const { organization_id, vector_store_id, run_id } = request.params;
        const { keyId, connectorId } = request.identity;
        const deleted = await commands.giveUpRefresh(organization_id, vector_store_id, run_id, connectorId);
        request.log.info(
          { audit: "refresh.give_up", target: run_id, key_id: keyId, organization_id },
          "audit",
        );
        return deleted;
      },
    });

    app.route<{ Params: StoreParams; Querystring: Static<typeof SyncsQuery> }>({
      method: "GET",
      url: "/syncs",
      schema: describeRoute({
        tag: "Contents",
        summary: "List the acknowledged syncs, newest first; a connector sees its own",
        params: StoreParams,
        querystring: SyncsQuery,
        response: ListOf(SyncObject),
        errors: ERRORS,
      }),
      preHandler,
      handler: ({ params, query, identity }) => {
        const { organization_id, vector_store_id } = params;
        return commands.listSyncs(organization_id, vector_store_id, query, identity.connectorId);
      },
    });

    app.route<{ Params: Static<typeof SyncParams> }>({
      method: "GET",
      url: "/syncs/:sync_id",
      schema: describeRoute({
        tag: "Contents",
        summary: "Get one sync",
        params: SyncParams,
        response: SyncObject,
        errors: ERRORS,
      }),
      preHandler,
      handler: ({ params, identity }) => {
        const { organization_id, vector_store_id, sync_id } = params;
        return commands.getSync(organization_id, vector_store_id, sync_id, identity.connectorId);
      },
    });
  };
}
