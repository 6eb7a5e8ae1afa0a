/**
 * SQL that looks rows up by their keys; $1 is always the store. The planner estimates a namespace's size from general
 * statistics, and after a wrong estimate it reads the whole namespace. `OFFSET 0` keeps it from merging these
 * subqueries into the outer query, so each key costs one index lookup, whatever the statistics say.
 */

/** A join of the rows with the namespace and id of `k`. */
export const ROWS_OF_ID = `LATERAL (
  SELECT ctid AS place, f.* FROM records f
  WHERE f.store_id = $1 AND f.namespace = k.namespace AND f.id = k.id OFFSET 0)`;

/** A join of the row with the namespace, id and generation of `k`. */
export const ROW_OF_KEY = `LATERAL (
  SELECT ctid AS place, f.* FROM records f WHERE f.store_id = $1
    AND f.namespace = k.namespace AND f.id = k.id AND f.generation = k.generation OFFSET 0)`;

/** A condition for the rows of `records r` with the namespaces $2, ids $3 and generations $4. */
export const IS_ONE_OF = `r.store_id = $1 AND r.ctid = ANY (ARRAY(
  SELECT p.place FROM unnest($2::text[], $3::text[], $4::bigint[]) k(namespace, id, generation)
  CROSS JOIN ${ROW_OF_KEY} p))`;

/** A condition for the rows of `contents c` with the versions $2. */
export const IS_CONTENT_OF = `c.store_id = $1 AND c.ctid = ANY (ARRAY(
  SELECT p.place FROM unnest($2::bigint[]) k(version)
  CROSS JOIN LATERAL (SELECT ctid AS place FROM contents f
    WHERE f.store_id = $1 AND f.version = k.version OFFSET 0) p))`;

/**
 * A join of the chunks of the namespace of `k` in build $2. `+ 0` keeps the planner from reading the whole build
 * through the primary key instead.
 */
export const CHUNKS_OF_NAMESPACE = `LATERAL (
  SELECT chunk, vector FROM chunks f
  WHERE f.store_id = $1 AND f.namespace = k.namespace AND f.build + 0 = $2 OFFSET 0)`;

/** A condition for the rows of `index_queue q` with the versions $2. */
export const IS_ENTRY_OF = `q.store_id = $1 AND q.ctid = ANY (ARRAY(
  SELECT p.place FROM unnest($2::bigint[]) k(version)
  CROSS JOIN LATERAL (SELECT ctid AS place FROM index_queue f
    WHERE f.store_id = $1 AND f.version = k.version OFFSET 0) p))`;
