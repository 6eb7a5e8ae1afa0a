import type { List } from "@tidemark/protocol/management";

/** A page of a list: `limit` rows at most (1 to 100, default 20), from `cursor` on. */
export interface Page {
  limit?: number | undefined;
  cursor?: string | undefined;
}

/**
 * Yields every item of a list, page by page.
 * @param readPage such as `(page) => tidemark.listSyncs(page)`
 */
export async function* everyItem<T>(readPage: (page: Page) => Promise<List<T>>): AsyncGenerator<T, void> {
  let cursor: string | undefined;
  do {
    const page: List<T> = await readPage({ limit: 100, cursor });
    yield* page.data;
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
}
