import type { NamespaceState } from "./port.ts";

/** Where a namespace stands that no sync has named yet. */
export const NEW_NAMESPACE: Omit<NamespaceState, "namespace"> = {
  generation: 0,
  nextGeneration: 1,
  refreshedAt: 0n,
  newestAt: 0n,
  purgedAt: 0n,
  records: 0,
  digest: 0n,
};
