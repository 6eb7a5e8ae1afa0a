import type { Organization, VectorStore } from "@tidemark/protocol/management";
import type { Commands } from "../commands.ts";
import { wholeList } from "./database.ts";

/** Every store of every organization, or the one that is asked for. */
export async function everyStore(
  commands: Commands,
  storeId: string | undefined,
): Promise<{ organization: Organization; store: VectorStore }[]> {
  const found: { organization: Organization; store: VectorStore }[] = [];
  const organizations = await wholeList((page) => commands.listOrganizations(page));
  for (const organization of organizations.data) {
    const stores = await wholeList((page) => commands.listVectorStores(organization.id, page));
    for (const store of stores.data) {
      if (storeId === undefined || store.id === storeId) found.push({ organization, store });
    }
  }
  if (storeId !== undefined && found.length === 0) throw new Error(`There is no vector store ${storeId}.`);
  return found;
}
