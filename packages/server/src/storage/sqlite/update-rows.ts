import { compareCodePoints } from "@tidemark/protocol/code-point-order";
import type { NamespaceIds } from "../port.ts";
import type { Connection } from "./connection.ts";

/**
 * Updates the rows of some ids in a generation; each id has one. Most refreshes name all ids between their first and
 * their last: then one range scan replaces a lookup per id, which would take five times as long.
 * @param change the SET clause, with the values as `?6` and `?7`
 */
export function updateRows(
  connection: Connection,
  storeId: string,
  change: string,
  { namespace, ids, generation }: NamespaceIds & { generation: number },
  ...values: (number | bigint | null)[]
): void {
  const [first, last] = endsOf(ids);
  const between = "store_id = ?1 AND namespace = ?2 AND id BETWEEN ?3 AND ?4";
  const count = connection.statement(
    `SELECT count(*) AS rows FROM (SELECT 1 FROM records WHERE ${between} LIMIT ?5)`,
  );
  const { rows } = count.get(storeId, namespace, first, last, ids.length + 1) as { rows: number };
  // If the range has as many rows as there are ids, it has no other ids.
  const [where, from, to] =
    rows === ids.length
      ? ["id BETWEEN ?4 AND ?5", first, last]
      : ["id IN (SELECT value FROM json_each(?4))", JSON.stringify(ids), null];
  connection
    .statement(
      `UPDATE records SET ${change} WHERE store_id = ?1 AND namespace = ?2 AND generation = ?3 AND ${where}`,
    )
    .run(storeId, namespace, generation, from, to, ...values);
}

/** The first and the last of some ids in the table's order. */
function endsOf(ids: string[]): [first: string, last: string] {
  let [first, last] = [ids[0]!, ids[0]!];
  for (const id of ids) {
    if (compareCodePoints(id, first) < 0) first = id;
    else if (compareCodePoints(id, last) > 0) last = id;
  }
  return [first, last];
}
