import type {
  Connector,
  ConnectorKey,
  CreateConnector,
  CreateKey,
  CreateVectorStore,
  Deleted,
  List,
  NewConnector,
  NewConnectorKey,
  UpdateConnector,
  UpdateVectorStore,
  VectorStore,
} from "@tidemark/protocol/management";
import { type CallOptions, type ConnectionOptions, connect, type Send } from "./connection.ts";
import type { Page } from "./lists.ts";

export interface ManagementOptions extends ConnectionOptions {
  /** `org_…` */
  organizationId: string;
}

const STORES = "vector-stores";
const CONNECTORS = "connectors";

/**
 * An organization's vector stores, connectors and keys, for an admin's key (a reader's can get and list stores).
 * Requests that change something are sent again only if the server says that it did nothing.
 */
export class Management {
  #send: Send;

  constructor(options: ManagementOptions) {
    this.#send = connect(options, ["organizations", options.organizationId], ["GET"]);
  }

  createVectorStore(body: CreateVectorStore, options?: CallOptions): Promise<VectorStore> {
    return this.#send([STORES], options, { body });
  }

  listVectorStores(query?: Page, options?: CallOptions): Promise<List<VectorStore>> {
    return this.#send([STORES], options, { query });
  }

  getVectorStore(id: string, options?: CallOptions): Promise<VectorStore> {
    return this.#send([STORES, id], options);
  }

  updateVectorStore(id: string, body: UpdateVectorStore, options?: CallOptions): Promise<VectorStore> {
    return this.#send([STORES, id], options, { method: "PATCH", body });
  }

  /** Deletes a store with its records and connectors, and revokes their keys. */
  deleteVectorStore(id: string, options?: CallOptions): Promise<Deleted> {
    return this.#send([STORES, id], options, { method: "DELETE" });
  }

  /** Creates a connector. Only this answer has its `api_key`. */
  createConnector(body: CreateConnector, options?: CallOptions): Promise<NewConnector> {
    return this.#send([CONNECTORS], options, { body });
  }

  listConnectors(query?: Page, options?: CallOptions): Promise<List<Connector>> {
    return this.#send([CONNECTORS], options, { query });
  }

  getConnector(id: string, options?: CallOptions): Promise<Connector> {
    return this.#send([CONNECTORS, id], options);
  }

  updateConnector(id: string, body: UpdateConnector, options?: CallOptions): Promise<Connector> {
    return this.#send([CONNECTORS, id], options, { method: "PATCH", body });
  }

  /** Deletes a connector and revokes its keys; its records stay. */
  deleteConnector(id: string, options?: CallOptions): Promise<Deleted> {
    return this.#send([CONNECTORS, id], options, { method: "DELETE" });
  }

  /** Adds a key to a connector. Only this answer has its `api_key`. */
  createConnectorKey(
    connectorId: string,
    body: CreateKey = {},
    options?: CallOptions,
  ): Promise<NewConnectorKey> {
    return this.#send([CONNECTORS, connectorId, "keys"], options, { body });
  }

  revokeConnectorKey(connectorId: string, keyId: string, options?: CallOptions): Promise<ConnectorKey> {
    return this.#send([CONNECTORS, connectorId, "keys", keyId], options, { method: "DELETE" });
  }
}
