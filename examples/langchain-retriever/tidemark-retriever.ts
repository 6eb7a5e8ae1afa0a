import { Document } from "@langchain/core/documents";
import { BaseRetriever, type BaseRetrieverInput } from "@langchain/core/retrievers";
import {
  type SearchFilter,
  type SearchMode,
  type SearchRequest,
  type SearchResult,
  Tidemark,
  type TidemarkOptions,
} from "@tidemark/client";

export interface TidemarkRetrieverInput extends BaseRetrieverInput {
  /** The maximum number of documents, 1 to 100. Default: 4. */
  k?: number;
  /** Default: `hybrid` if the store has embeddings, otherwise `lexical`. */
  mode?: SearchMode;
  /** A condition on the records' data, such as `{ status: "open" }`. */
  filter?: SearchFilter;
  /** The namespaces to search. Default: all of the store. */
  namespaces?: string[];
  /** A `sync_id`: the retriever waits until that sync is searchable. */
  afterSync?: string;
  /** How long it waits for `afterSync`, in ms, at most 60,000. Default: 10,000. */
  afterSyncTimeoutMs?: number;
}

/** The metadata of a document. */
export type TidemarkMetadata = Pick<SearchResult, "id" | "namespace" | "score" | "synced_at"> & {
  /** The whole record. */
  data: Record<string, unknown>;
};

/**
 * Finds the records of a vector store that match a query best. It returns one document per record, best first, with the
 * record's best matching chunk as its text.
 */
export class TidemarkRetriever extends BaseRetriever<TidemarkMetadata> {
  lc_namespace = ["tidemark", "retrievers"];
  #tidemark: Tidemark;
  #request: Omit<SearchRequest, "query">;

  static override lc_name(): string {
    return "TidemarkRetriever";
  }

  /** @param tidemark a client with a reader's key, or options for one. LangChain sees neither client nor key */
  constructor(
    tidemark: Tidemark | TidemarkOptions,
    { k = 4, mode, filter, namespaces, afterSync, afterSyncTimeoutMs, ...base }: TidemarkRetrieverInput = {},
  ) {
    super(base);
    this.#tidemark = tidemark instanceof Tidemark ? tidemark : new Tidemark(tidemark);
    // The client does not send fields that are undefined.
    const given = { mode, filter, namespaces, after_sync: afterSync, timeout_ms: afterSyncTimeoutMs };
    this.#request = { limit: k, include: ["data"], ...(given as Partial<SearchRequest>) };
  }

  /** @throws TidemarkError, such as INDEX_NOT_READY if `afterSync` was not searchable in time */
  override async _getRelevantDocuments(query: string): Promise<Document<TidemarkMetadata>[]> {
    const answer = await this.#tidemark.search({ ...this.#request, query });
    return answer.data.map(({ text, id, namespace, score, synced_at, data = {} }) => {
      return new Document({ pageContent: text, metadata: { id, namespace, score, synced_at, data } });
    });
  }
}
