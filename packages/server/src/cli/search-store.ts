import { styleText } from "node:util";
import { Management, Tidemark, TidemarkError } from "@tidemark/client";
import type { SearchFilter, SearchMode, SearchRequest } from "@tidemark/protocol/search";
import { readTextSettings } from "../text/settings.ts";
import { withoutStopWords } from "../text/stop-words.ts";
import { analyzerFor } from "../text/tokens.ts";
import { clientOptions } from "./client-settings.ts";
import type { ServerOptions } from "./options.ts";
import { fail, NOT_IN_SYNC } from "./output.ts";
import { describeResults } from "./show-results.ts";

export interface SearchOptions extends ServerOptions {
  limit?: number;
  namespace?: string[];
  filter?: SearchFilter;
  mode?: SearchMode;
  afterSync?: string;
  /** Seconds. */
  timeout?: number;
  json: boolean;
}

/** The width of a row without a terminal. */
const PIPE_COLUMNS = 160;

/** Searches over HTTP and prints the results. Sets exit code 3 if `afterSync` is not searchable in time. */
export async function searchStore(query: string, options: SearchOptions): Promise<void> {
  try {
    const settings = clientOptions(options);
    const { limit, namespace, filter, mode, afterSync, timeout, json } = options;
    const request: SearchRequest = {
      query,
      ...(limit !== undefined && { limit }),
      ...(namespace && { namespaces: namespace }),
      ...(filter && { filter }),
      ...(mode && { mode }),
      ...(afterSync !== undefined && { after_sync: afterSync }),
      ...(timeout !== undefined && { timeout_ms: Math.round(timeout * 1000) }),
    };
    const answer = await new Tidemark(settings).search(request);
    if (json) {
      console.log(JSON.stringify(answer, null, 2));
      return;
    }
    // Which words of a chunk match depends on the store's language.
    const store = await new Management(settings).getVectorStore(settings.vectorStoreId);
    const { language } = readTextSettings(store.settings);
    const tokensOf = await analyzerFor(language);
    const words = withoutStopWords(query, language);
    const columns = process.stdout.columns || PIPE_COLUMNS;
    const mark = (word: string) => styleText("bold", word);
    for (const line of describeResults(answer, { query: words, tokensOf, columns, mark })) console.log(line);
    for (const warning of answer.warnings ?? []) console.error(`tidemark: ${warning}`);
  } catch (error) {
    fail(error);
    if (error instanceof TidemarkError && error.is("INDEX_NOT_READY")) process.exitCode = NOT_IN_SYNC;
  }
}
