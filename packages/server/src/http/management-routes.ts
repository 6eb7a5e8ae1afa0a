import { ApiKeyId, ConnectorId } from "@tidemark/protocol/identifiers";
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
import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import type { HttpContext } from "./context.ts";
import { keyedRoutes, OrganizationParams, StoreParams } from "./keyed-routes.ts";
import { receiveJsonBodies } from "./request-body.ts";
import { strictValidator } from "./strict-validator.ts";

const ConnectorParams = Type.Object({ ...OrganizationParams.properties, connector_id: ConnectorId });
const KeyParams = Type.Object({ ...ConnectorParams.properties, key_id: ApiKeyId });

/** Routes of vector stores, connectors and their keys, under `/v1/organizations`. */
export function managementRoutes(context: HttpContext) {
  return async (app: FastifyInstance) => {
    receiveJsonBodies(app, LIMITS.managementBodyBytes, context.inFlight);
    app.setValidatorCompiler(strictValidator);
    app.addHook("onRequest", context.authentication.authenticate);
    addStoreRoutes(app, context);
    addConnectorRoutes(app, context);
    addConnectorKeyRoutes(app, context);
  };
}

function addStoreRoutes(app: FastifyInstance, { commands, authentication, now }: HttpContext): void {
  const route = keyedRoutes(app, "Vector stores");
  route("POST", "/:organization_id/vector-stores", {
    summary: "Create a vector store",
    params: OrganizationParams,
    body: CreateVectorStore,
    response: VectorStore,
    status: 201,
    roles: ["admin"],
    audit: "vector_store.create",
    handler: ({ params, body }) => commands.createVectorStore(params.organization_id, body, now()),
  });
  route("GET", "/:organization_id/vector-stores", {
    summary: "List the vector stores that the key can access",
    params: OrganizationParams,
    querystring: PageQuery,
    response: ListOf(VectorStore),
    roles: ["admin", "reader"],
    handler: ({ params, query, identity }) =>
      commands.listVectorStores(params.organization_id, query, identity.storeId),
  });
  route("GET", "/:organization_id/vector-stores/:vector_store_id", {
    summary: "Get a vector store",
    params: StoreParams,
    response: VectorStore,
    roles: ["admin", "reader"],
    handler: ({ params }) => commands.getVectorStore(params.organization_id, params.vector_store_id),
  });
  route("PATCH", "/:organization_id/vector-stores/:vector_store_id", {
    summary: "Change the name, description or settings of a vector store",
    params: StoreParams,
    body: UpdateVectorStore,
    response: VectorStore,
    roles: ["admin"],
    audit: "vector_store.update",
    handler: ({ params, body }) =>
      commands.updateVectorStore(params.organization_id, params.vector_store_id, body, now()),
  });
  route("DELETE", "/:organization_id/vector-stores/:vector_store_id", {
    summary: "Delete a vector store with its records, its connectors and their keys",
    params: StoreParams,
    response: Deleted,
    roles: ["admin"],
    audit: "vector_store.delete",
    handler: async ({ params: { organization_id, vector_store_id } }) => {
      const deleted = await commands.deleteVectorStore(organization_id, vector_store_id, now());
      authentication.forget();
      return deleted;
    },
  });
}

function addConnectorRoutes(app: FastifyInstance, { commands, authentication, now }: HttpContext): void {
  const route = keyedRoutes(app, "Connectors");
  route("POST", "/:organization_id/connectors", {
    summary: "Create a connector and its first key",
    params: OrganizationParams,
    body: CreateConnector,
    response: NewConnector,
    status: 201,
    roles: ["admin"],
    audit: "connector.create",
    handler: ({ params, body: { name, vector_store_id: storeId } }) =>
      commands.createConnector(params.organization_id, { name, storeId }, now()),
  });
  route("GET", "/:organization_id/connectors", {
    summary: "List the connectors",
    params: OrganizationParams,
    querystring: PageQuery,
    response: ListOf(Connector),
    roles: ["admin"],
    handler: ({ params, query }) => commands.listConnectors(params.organization_id, query),
  });
  route("GET", "/:organization_id/connectors/:connector_id", {
    summary: "Get a connector",
    params: ConnectorParams,
    response: Connector,
    roles: ["admin"],
    handler: ({ params }) => commands.getConnector(params.organization_id, params.connector_id),
  });
  route("PATCH", "/:organization_id/connectors/:connector_id", {
    summary: "Rename a connector",
    params: ConnectorParams,
    body: UpdateConnector,
    response: Connector,
    roles: ["admin"],
    audit: "connector.update",
    handler: ({ params, body }) =>
      commands.updateConnector(params.organization_id, params.connector_id, body),
  });
  route("DELETE", "/:organization_id/connectors/:connector_id", {
    summary: "Delete a connector and revoke its keys; its records stay",
    params: ConnectorParams,
    response: Deleted,
    roles: ["admin"],
    audit: "connector.delete",
    handler: async ({ params: { organization_id, connector_id } }) => {
      const deleted = await commands.deleteConnector(organization_id, connector_id, now());
      authentication.forget();
      return deleted;
    },
  });
}

function addConnectorKeyRoutes(app: FastifyInstance, { commands, authentication, now }: HttpContext): void {
  const route = keyedRoutes(app, "Connectors");
  route("POST", "/:organization_id/connectors/:connector_id/keys", {
    summary: "Add a key to a connector",
    params: ConnectorParams,
    body: CreateKey,
    response: NewConnectorKey,
    status: 201,
    roles: ["admin"],
    audit: "key.create",
    // The body is optional.
    handler: ({ params: { organization_id, connector_id }, body }) =>
      commands.createConnectorKey(organization_id, connector_id, body ?? {}, now()),
  });
  route("DELETE", "/:organization_id/connectors/:connector_id/keys/:key_id", {
    summary: "Revoke a key of a connector",
    params: KeyParams,
    response: ConnectorKey,
    roles: ["admin"],
    audit: "key.revoke",
    handler: async ({ params: { organization_id, connector_id, key_id } }) => {
      const key = await commands.revokeConnectorKey(organization_id, connector_id, key_id, now());
      authentication.forget();
      return key;
    },
  });
}
