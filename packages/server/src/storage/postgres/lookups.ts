/**
 * How rows of `records` are found by their keys. The planner guesses how many records a namespace has, from figures
 * that know nothing of the one at hand, and for a wrong guess it reads the whole namespace. `OFFSET 0` keeps it from
 * merging these subqueries into the rest: each key is one look into the primary key, whatever the statistics say.
 * In all of them $1 is the store.
 */

/** The rows of the namespace and id of `k`, to be joined. */
export const ROWS_OF_ID = `LATERAL (
  SELECT ctid AS place, f.* FROM records f
  WHERE f.store_id = $1 AND f.namespace = k.namespace AND f.id = k.id OFFSET 0)`;

/** The row of the namespace, id and generation of `k`, to be joined. */
export const ROW_OF_KEY = `LATERAL (
  SELECT ctid AS place, f.* FROM records f WHERE f.store_id = $1
    AND f.namespace = k.namespace AND f.id = k.id AND f.generation = k.generation OFFSET 0)`;

/** A condition on `records r`: that it is one of the rows of the namespaces $2, ids $3 and generations $4. */
export const IS_ONE_OF = `r.store_id = $1 AND r.ctid = ANY (ARRAY(
  SELECT p.place FROM unnest($2::text[], $3::text[], $4::bigint[]) k(namespace, id, generation)
  CROSS JOIN ${ROW_OF_KEY} p))`;

/** A condition on `contents c`: that it is one of the versions $2. */
export const IS_CONTENT_OF = `c.store_id = $1 AND c.ctid = ANY (ARRAY(
  SELECT p.place FROM unnest($2::bigint[]) k(version)
  CROSS JOIN LATERAL (SELECT ctid AS place FROM contents f
    WHERE f.store_id = $1 AND f.version = k.version OFFSET 0) p))`;

/**
 * The chunks of the namespace of `k` in build $2, to be joined; here and below `+ 0` keeps the planner from
 * reading all of the build by the primary key instead.
 */
export const CHUNKS_OF_NAMESPACE = `LATERAL (
  SELECT chunk, vector FROM chunks f
  WHERE f.store_id = $1 AND f.namespace = k.namespace AND f.build + 0 = $2 OFFSET 0)`;

/** A condition on `index_queue q`: that it is one of the versions $2. */
export const IS_ENTRY_OF = `q.store_id = $1 AND q.ctid = ANY (ARRAY(
  SELECT p.place FROM unnest($2::bigint[]) k(version)
  CROSS JOIN LATERAL (SELECT ctid AS place FROM index_queue f
    WHERE f.store_id = $1 AND f.version = k.version OFFSET 0) p))`;
