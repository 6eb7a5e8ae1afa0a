import { ApiKeyId, ConnectorId, OrganizationId, VectorStoreId } from "@tidemark/protocol/identifiers";
import { LIMITS } from "@tidemark/protocol/limits";
import {
  Connector,
  ConnectorKey,
  CreateConnector,
  CreateKey,
  CreateVectorStore,
  Deleted,
  ListOf,
  NewConnector,
  NewConnectorKey,
  PageQuery,
  UpdateConnector,
  UpdateVectorStore,
  VectorStore,
} from "@tidemark/protocol/management";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { type Static, Type } from "typebox";
import type { PageRequest } from "../access/pages.ts";
import type { HttpContext } from "./context.ts";
import { describeRoute } from "./openapi.ts";
import { permit } from "./permissions.ts";
import { receiveJsonBodies } from "./request-body.ts";
import { strictValidator } from "./strict-validator.ts";

const OrganizationParams = Type.Object({ organization_id: OrganizationId });
const StoreParams = Type.Object({ organization_id: OrganizationId, vector_store_id: VectorStoreId });
const ConnectorParams = Type.Object({ organization_id: OrganizationId, connector_id: ConnectorId });
const KeyParams = Type.Object({ ...ConnectorParams.properties, key_id: ApiKeyId });

const ERRORS_OF_READS = [401, 403, 404, 422, 503];
const ERRORS_OF_WRITES = [400, ...ERRORS_OF_READS, 413, 415];

/** Stores, connectors and their keys, below `/v1/organizations`. */
export function managementRoutes({ commands, authentication, inFlight, now }: HttpContext) {
  /** An audit line: who did what to what. */
  const audit = (request: FastifyRequest, action: string, target: string) => {
    const { keyId, organizationId } = request.identity;
    request.log.info({ audit: action, target, key_id: keyId, organization_id: organizationId }, "audit");
  };

  return async (app: FastifyInstance) => {
    receiveJsonBodies(app, LIMITS.managementBodyBytes, inFlight);
    app.setValidatorCompiler(strictValidator);
    app.addHook("onRequest", authentication.authenticate);

    app.route<{ Params: Static<typeof OrganizationParams>; Body: CreateVectorStore }>({
      method: "POST",
      url: "/:organization_id/vector-stores",
      schema: describeRoute({
        tag: "Vector stores",
        summary: "Create a vector store",
        params: OrganizationParams,
        body: CreateVectorStore,
        response: VectorStore,
        status: 201,
        errors: ERRORS_OF_WRITES,
      }),
      preHandler: permit("admin"),
      handler: async (request, reply) => {
        const store = await commands.createVectorStore(request.params.organization_id, request.body, now());
        audit(request, "vector_store.create", store.id);
        return reply.code(201).send(store);
      },
    });

    app.route<{ Params: Static<typeof OrganizationParams>; Querystring: PageRequest }>({
      method: "GET",
      url: "/:organization_id/vector-stores",
      schema: describeRoute({
        tag: "Vector stores",
        summary: "List the vector stores that the key opens",
        params: OrganizationParams,
        querystring: PageQuery,
        response: ListOf(VectorStore),
        errors: ERRORS_OF_READS,
      }),
      preHandler: permit("admin", "reader"),
      handler: (request) =>
        commands.listVectorStores(request.params.organization_id, request.query, request.identity.storeId),
    });

    app.route<{ Params: Static<typeof StoreParams> }>({
      method: "GET",
      url: "/:organization_id/vector-stores/:vector_store_id",
      schema: describeRoute({
        tag: "Vector stores",
        summary: "Get a vector store",
        params: StoreParams,
        response: VectorStore,
        errors: ERRORS_OF_READS,
      }),
      preHandler: permit("admin", "reader"),
      handler: ({ params }) => commands.getVectorStore(params.organization_id, params.vector_store_id),
    });

    app.route<{ Params: Static<typeof StoreParams>; Body: UpdateVectorStore }>({
      method: "PATCH",
      url: "/:organization_id/vector-stores/:vector_store_id",
      schema: describeRoute({
        tag: "Vector stores",
        summary: "Rename or describe a vector store, or change its settings",
        params: StoreParams,
        body: UpdateVectorStore,
        response: VectorStore,
        errors: ERRORS_OF_WRITES,
      }),
      preHandler: permit("admin"),
      handler: async (request) => {
        const { organization_id, vector_store_id } = request.params;
        const store = await commands.updateVectorStore(organization_id, vector_store_id, request.body, now());
        audit(request, "vector_store.update", store.id);
        return store;
      },
    });

    app.route<{ Params: Static<typeof StoreParams> }>({
      method: "DELETE",
      url: "/:organization_id/vector-stores/:vector_store_id",
      schema: describeRoute({
        tag: "Vector stores",
        summary: "Delete a vector store with its records, its connectors and their keys",
        params: StoreParams,
        response: Deleted,
        errors: ERRORS_OF_READS,
      }),
      preHandler: permit("admin"),
      handler: async (request) => {
        const { organization_id, vector_store_id } = request.params;
        const deleted = await commands.deleteVectorStore(organization_id, vector_store_id, now());
        authentication.forget();
        audit(request, "vector_store.delete", vector_store_id);
        return deleted;
      },
    });

    app.route<{ Params: Static<typeof OrganizationParams>; Body: CreateConnector }>({
      method: "POST",
      url: "/:organization_id/connectors",
      schema: describeRoute({
        tag: "Connectors",
        summary: "Create a connector and its first key",
        params: OrganizationParams,
        body: CreateConnector,
        response: NewConnector,
        status: 201,
        errors: ERRORS_OF_WRITES,
      }),
      preHandler: permit("admin"),
      handler: async (request, reply) => {
        const { name, vector_store_id: storeId } = request.body;
        const organizationId = request.params.organization_id;
        const connector = await commands.createConnector(organizationId, { name, storeId }, now());
        audit(request, "connector.create", connector.id);
        return reply.code(201).send(connector);
      },
    });

    app.route<{ Params: Static<typeof OrganizationParams>; Querystring: PageRequest }>({
      method: "GET",
      url: "/:organization_id/connectors",
      schema: describeRoute({
        tag: "Connectors",
        summary: "List the connectors",
        params: OrganizationParams,
        querystring: PageQuery,
        response: ListOf(Connector),
        errors: ERRORS_OF_READS,
      }),
      preHandler: permit("admin"),
      handler: ({ params, query }) => commands.listConnectors(params.organization_id, query),
    });

    app.route<{ Params: Static<typeof ConnectorParams> }>({
      method: "GET",
      url: "/:organization_id/connectors/:connector_id",
      schema: describeRoute({
        tag: "Connectors",
        summary: "Get a connector",
        params: ConnectorParams,
        response: Connector,
        errors: ERRORS_OF_READS,
      }),
      preHandler: permit("admin"),
      handler: ({ params }) => commands.getConnector(params.organization_id, params.connector_id),
    });

    app.route<{ Params: Static<typeof ConnectorParams>; Body: UpdateConnector }>({
      method: "PATCH",
      url: "/:organization_id/connectors/:connector_id",
      schema: describeRoute({
        tag: "Connectors",
        summary: "Rename a connector",
        params: ConnectorParams,
        body: UpdateConnector,
        response: Connector,
        errors: ERRORS_OF_WRITES,
      }),
      preHandler: permit("admin"),
      handler: async (request) => {
        const { organization_id, connector_id } = request.params;
        const connector = await commands.updateConnector(organization_id, connector_id, request.body);
        audit(request, "connector.update", connector_id);
        return connector;
      },
    });

    app.route<{ Params: Static<typeof ConnectorParams> }>({
      method: "DELETE",
      url: "/:organization_id/connectors/:connector_id",
      schema: describeRoute({
        tag: "Connectors",
        summary: "Delete a connector and revoke its keys; its records stay",
        params: ConnectorParams,
        response: Deleted,
        errors: ERRORS_OF_READS,
      }),
      preHandler: permit("admin"),
      handler: async (request) => {
        const { organization_id, connector_id } = request.params;
        const deleted = await commands.deleteConnector(organization_id, connector_id, now());
        authentication.forget();
        audit(request, "connector.delete", connector_id);
        return deleted;
      },
    });

    app.route<{ Params: Static<typeof ConnectorParams>; Body: CreateKey | undefined }>({
      method: "POST",
      url: "/:organization_id/connectors/:connector_id/keys",
      schema: describeRoute({
        tag: "Connectors",
        summary: "Add a key to a connector",
        params: ConnectorParams,
        body: CreateKey,
        response: NewConnectorKey,
        status: 201,
        errors: ERRORS_OF_WRITES,
      }),
      preHandler: permit("admin"),
      handler: async (request, reply) => {
        const { organization_id, connector_id } = request.params;
        const key = await commands.createConnectorKey(
          organization_id,
          connector_id,
          request.body ?? {},
          now(),
        );
        audit(request, "key.create", key.id);
        return reply.code(201).send(key);
      },
    });

    app.route<{ Params: Static<typeof KeyParams> }>({
      method: "DELETE",
      url: "/:organization_id/connectors/:connector_id/keys/:key_id",
      schema: describeRoute({
        tag: "Connectors",
        summary: "Revoke a key of a connector",
        params: KeyParams,
        response: ConnectorKey,
        errors: ERRORS_OF_READS,
      }),
      preHandler: permit("admin"),
      handler: async (request) => {
        const { organization_id, connector_id, key_id } = request.params;
        const key = await commands.revokeConnectorKey(organization_id, connector_id, key_id, now());
        authentication.forget();
        audit(request, "key.revoke", key_id);
        return key;
      },
    });
  };
}
