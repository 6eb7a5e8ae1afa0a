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
import { type Call, type CallOptions, Connection, type ConnectionOptions } from "./connection.ts";
import type { Page } from "./lists.ts";

export interface ManagementOptions extends ConnectionOptions {
  /** `org_…` */
  organizationId: string;
}

/**
 * The vector stores, connectors and keys of an organization, with an admin's key (a reader's may get and list stores).
 * What creates or changes something is sent a second time only where the server says that it did nothing.
 */
export class Management {
  #connection: Connection;
  #path: string;

  constructor(options: ManagementOptions) {
    this.#connection = new Connection(options);
    this.#path = `/v1/organizations/${encodeURIComponent(options.organizationId)}`;
  }

  createVectorStore(body: CreateVectorStore, options?: CallOptions): Promise<VectorStore> {
    return this.#call("POST", ["vector-stores"], { ...options, body });
  }

  listVectorStores(query?: Page, options?: CallOptions): Promise<List<VectorStore>> {
    return this.#call("GET", ["vector-stores"], { ...options, query: { ...query } });
  }

  getVectorStore(id: string, options?: CallOptions): Promise<VectorStore> {
    return this.#call("GET", ["vector-stores", id], options);
  }

  updateVectorStore(id: string, body: UpdateVectorStore, options?: CallOptions): Promise<VectorStore> {
    return this.#call("PATCH", ["vector-stores", id], { ...options, body });
  }

  /** Deletes a store with its records and connectors, and revokes their keys. */
  deleteVectorStore(id: string, options?: CallOptions): Promise<Deleted> {
    return this.#call("DELETE", ["vector-stores", id], options);
  }

  /** Makes a connector; its `api_key` is in this answer and nowhere else. */
  createConnector(body: CreateConnector, options?: CallOptions): Promise<NewConnector> {
    return this.#call("POST", ["connectors"], { ...options, body });
  }

  listConnectors(query?: Page, options?: CallOptions): Promise<List<Connector>> {
    return this.#call("GET", ["connectors"], { ...options, query: { ...query } });
  }

  getConnector(id: string, options?: CallOptions): Promise<Connector> {
    return this.#call("GET", ["connectors", id], options);
  }

  updateConnector(id: string, body: UpdateConnector, options?: CallOptions): Promise<Connector> {
    return this.#call("PATCH", ["connectors", id], { ...options, body });
  }

  /** Deletes a connector and revokes its keys; its records stay. */
  deleteConnector(id: string, options?: CallOptions): Promise<Deleted> {
    return this.#call("DELETE", ["connectors", id], options);
  }

  /** Adds a key to a connector; its `api_key` is in this answer and nowhere else. */
  createConnectorKey(
    connectorId: string,
    body: CreateKey = {},
    options?: CallOptions,
  ): Promise<NewConnectorKey> {
    return this.#call("POST", ["connectors", connectorId, "keys"], { ...options, body });
  }

  revokeConnectorKey(connectorId: string, keyId: string, options?: CallOptions): Promise<ConnectorKey> {
    return this.#call("DELETE", ["connectors", connectorId, "keys", keyId], options);
  }

  #call<T>(method: string, steps: string[], call: Call = {}): Promise<T> {
    return this.#connection.call(method, [this.#path, ...steps.map(encodeURIComponent)].join("/"), call);
  }
}
