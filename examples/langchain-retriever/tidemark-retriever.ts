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
  /** How many documents at most, 1 to 100. Default: 4. */
  k?: number;
  /** Default: `hybrid` where the store has embeddings, else `lexical`. */
  mode?: SearchMode;
  /** A condition on the records' data, such as `{ status: "open" }`. */
  filter?: SearchFilter;
  /** Default: all of the store. */
  namespaces?: string[];
  /** A `sync_id`: documents are at least as new as that sync, whose indexing is waited for. */
  afterSync?: string;
  /** How long that is waited for, ms, at most 60,000. Default: 10,000. */
  afterSyncTimeoutMs?: number;
}

/** What a document has beside its text. */
export type TidemarkMetadata = Pick<SearchResult, "id" | "namespace" | "score" | "synced_at"> & {
  /** The whole record. */
  data: Record<string, unknown>;
};

/**
 * Finds the records of a vector store that match a query best: a document for each, best first, whose text is the
 * record's best matching passage.
 */
export class TidemarkRetriever extends BaseRetriever<TidemarkMetadata> {
  lc_namespace = ["tidemark", "retrievers"];
  #tidemark: Tidemark;
  #request: Omit<SearchRequest, "query">;

  static override lc_name(): string {
    return "TidemarkRetriever";
  }

  /** @param tidemark a client with a reader's key, or what to make one with; LangChain is not given it, nor its key */
  constructor(
    tidemark: Tidemark | TidemarkOptions,
    { k = 4, mode, filter, namespaces, afterSync, afterSyncTimeoutMs, ...base }: TidemarkRetrieverInput = {},
  ) {
    super(base);
    this.#tidemark = tidemark instanceof Tidemark ? tidemark : new Tidemark(tidemark);
    // What is undefined is not sent.
    const given = { mode, filter, namespaces, after_sync: afterSync, timeout_ms: afterSyncTimeoutMs };
    this.#request = { limit: k, include: ["data"], ...(given as Partial<SearchRequest>) };
  }

  /** @throws TidemarkError, such as INDEX_NOT_READY if `afterSync` was waited for too long */
  override async _getRelevantDocuments(query: string): Promise<Document<TidemarkMetadata>[]> {
    const answer = await this.#tidemark.search({ ...this.#request, query });
    return answer.data.map(({ text, id, namespace, score, synced_at, data = {} }) => {
      return new Document({ pageContent: text, metadata: { id, namespace, score, synced_at, data } });
    });
  }
}
