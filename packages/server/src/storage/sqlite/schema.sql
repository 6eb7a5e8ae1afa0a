-- The schema that results from the migrations next to this file, by `npm run generate`. It is for reading only.

CREATE TABLE organizations (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL                 -- ms since 1970, like every *_at without another unit
) STRICT, WITHOUT ROWID;

CREATE TABLE vector_stores (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name TEXT NOT NULL,
  description TEXT,
  settings TEXT NOT NULL,                     -- JSON
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER                          -- if set, callers cannot reach the store and its rows are being removed
) STRICT, WITHOUT ROWID;

CREATE INDEX vector_stores_by_organization ON vector_stores (organization_id, id);

CREATE TABLE connectors (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  vector_store_id TEXT NOT NULL REFERENCES vector_stores (id),
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  deleted_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX connectors_by_organization ON connectors (organization_id, id);

CREATE INDEX connectors_by_store ON connectors (vector_store_id);

CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,                        -- key_ and the short id that the key itself contains
  hash TEXT NOT NULL,                         -- SHA-256 of the whole key, hex
  role TEXT NOT NULL,
  name TEXT,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  vector_store_id TEXT REFERENCES vector_stores (id),
  connector_id TEXT REFERENCES connectors (id),
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX api_keys_by_connector ON api_keys (connector_id) WHERE connector_id IS NOT NULL;

CREATE INDEX api_keys_by_organization ON api_keys (organization_id, id);

CREATE INDEX api_keys_by_store ON api_keys (vector_store_id) WHERE vector_store_id IS NOT NULL;

CREATE TABLE api_key_usage (
  key_id TEXT PRIMARY KEY,
  last_used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE store_revisions (
  store_id TEXT PRIMARY KEY,
  revision INTEGER NOT NULL                   -- the number of the store's last sync, in commit order without gaps
) STRICT, WITHOUT ROWID;

CREATE TABLE namespaces (
  store_id TEXT NOT NULL,
  namespace TEXT NOT NULL,
  generation INTEGER NOT NULL,                -- the generation that readers see
  next_generation INTEGER NOT NULL,           -- the first unused generation
  refreshed_at INTEGER NOT NULL,              -- the floor: sync_timestamp of the last full refresh, ns; 0: none yet
  newest_at INTEGER NOT NULL,                 -- no sync newer than this decided a record, ns
  purged_at INTEGER NOT NULL,                 -- the newest decided_at of purged tombstones, ns; 0: none
  records INTEGER NOT NULL,                   -- live records
  digest TEXT NOT NULL,                       -- sum of the live records' hashes modulo 2^256, hex
  last_sync_at INTEGER NOT NULL,
  sweep_from TEXT,                            -- the id from which the sweep continues; NULL: nothing to sweep
  PRIMARY KEY (store_id, namespace)
) STRICT, WITHOUT ROWID;

CREATE INDEX namespaces_to_sweep ON namespaces (store_id, namespace) WHERE sweep_from IS NOT NULL;

CREATE TABLE refresh_runs (
  store_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  connector_id TEXT NOT NULL,
  sync_timestamp INTEGER NOT NULL,            -- ns
  refresh_id TEXT NOT NULL,                   -- '' if the caller gave none
  operations INTEGER NOT NULL,                -- received, including failed ones; repeated parts count once
  failed INTEGER NOT NULL,
  batches INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  state TEXT NOT NULL,                        -- open, applied, ended (by a newer refresh), expired
  last_part_at INTEGER NOT NULL,
  last_part TEXT,                             -- the hash of an applied run's last batch
  answer TEXT,                                -- the answer to an applied run's last batch, JSON
  PRIMARY KEY (store_id, run_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_runs_by_age ON refresh_runs (store_id, last_part_at);

CREATE UNIQUE INDEX refresh_runs_by_identity
  ON refresh_runs (store_id, connector_id, sync_timestamp, refresh_id);

CREATE TABLE refresh_run_namespaces (
  store_id TEXT NOT NULL,
  namespace TEXT NOT NULL,
  run_id TEXT NOT NULL,
  sync_timestamp INTEGER NOT NULL,            -- the run's
  generation INTEGER NOT NULL,                -- of the run's rows in `records`
  upserts INTEGER NOT NULL,                   -- the run's rows with content, and the sum of their hashes
  digest TEXT NOT NULL,
  newer_records INTEGER NOT NULL,             -- live records that a newer sync decided, and the sum of their hashes
  newer_digest TEXT NOT NULL,
  created INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  unchanged INTEGER NOT NULL,
  removed INTEGER NOT NULL,
  absent INTEGER NOT NULL,
  stale INTEGER NOT NULL,
  superseded INTEGER NOT NULL,
  recount INTEGER NOT NULL,                   -- 1: another refresh flipped the namespace, so recount first
  PRIMARY KEY (store_id, namespace, run_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX refresh_run_namespaces_by_run ON refresh_run_namespaces (store_id, run_id);

CREATE TABLE refresh_run_parts (
  store_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  part TEXT NOT NULL,                         -- SHA-256 of the part's operations, hex
  PRIMARY KEY (store_id, run_id, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE refresh_run_exceptions (
  store_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  namespace TEXT NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,                         -- failed, stale
  PRIMARY KEY (store_id, run_id, namespace, id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency_keys (
  store_id TEXT NOT NULL,
  connector_id TEXT NOT NULL,
  key TEXT NOT NULL,
  body TEXT NOT NULL,                         -- SHA-256 of the request's body, hex
  answer TEXT NOT NULL,                       -- JSON
  created_at INTEGER NOT NULL,
  PRIMARY KEY (store_id, connector_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (store_id, created_at);

CREATE TABLE syncs (
  store_id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  sync_id TEXT NOT NULL,
  connector_id TEXT NOT NULL,
  mode TEXT NOT NULL,
  status TEXT NOT NULL,
  sync_timestamp INTEGER NOT NULL,            -- ns
  refresh_id TEXT,
  received_at INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  trace_id TEXT NOT NULL,
  results TEXT NOT NULL,                      -- JSON, like the next two
  by_namespace TEXT NOT NULL,
  changes TEXT NOT NULL,
  PRIMARY KEY (store_id, revision)
) STRICT, WITHOUT ROWID;

CREATE INDEX syncs_by_age ON syncs (store_id, received_at);

CREATE UNIQUE INDEX syncs_by_id ON syncs (store_id, sync_id);

CREATE TABLE records (
  store_id TEXT NOT NULL,
  namespace TEXT NOT NULL,
  id TEXT NOT NULL,
  generation INTEGER NOT NULL,                -- the generation that the row was written for
  carried_in INTEGER,                         -- generations of later refreshes that the row is carried into; those of
  also_carried_in INTEGER,                    -- finished refreshes mean nothing, like NULL
  decided_at INTEGER,                         -- sync_timestamp that decided the record, ns; NULL: the refresh
  version INTEGER,                            -- of the record's content; NULL: a tombstone
  hash TEXT,                                  -- SHA-256 of id and content, hex
  fingerprint TEXT,                           -- hash of the operation's bytes as sent: equal means same content
  written_at INTEGER NOT NULL,                -- when this content or the tombstone arrived
  indexed INTEGER,                            -- the version that the row is found by; NULL: none yet
  PRIMARY KEY (store_id, namespace, id, generation)
) STRICT, WITHOUT ROWID;

CREATE INDEX tombstones_by_age ON records (store_id, written_at) WHERE version IS NULL;

CREATE TABLE contents (
  store_id TEXT NOT NULL,
  version INTEGER NOT NULL,                   -- revision * 8192 + position in the sync
  content TEXT NOT NULL,                      -- canonical JSON of data, source_system, file, created_at, updated_at
  PRIMARY KEY (store_id, version)
) STRICT;

CREATE TABLE index_queue (
  store_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  namespace TEXT NOT NULL,
  id TEXT NOT NULL,
  queued_at INTEGER NOT NULL,
  due_at INTEGER DEFAULT 0,                   -- no claim before this time; NULL: failed, until an operator retries it
  attempts INTEGER NOT NULL DEFAULT 0,        -- failed attempts
  error TEXT,                                 -- of the last failed attempt
  PRIMARY KEY (store_id, version)
) STRICT, WITHOUT ROWID;

CREATE INDEX index_queue_failed ON index_queue (store_id, version) WHERE attempts > 0;

CREATE TABLE index_builds (
  store_id TEXT NOT NULL,
  build INTEGER NOT NULL,
  state TEXT NOT NULL,                        -- active, building, retired
  settings TEXT NOT NULL,                     -- JSON: settings of the text and of the embeddings
  space INTEGER,                              -- the vector space of its vectors; NULL: it has no vectors
  next_chunk INTEGER NOT NULL,
  next_segment INTEGER NOT NULL,
  chunks INTEGER NOT NULL,                    -- live chunks, and the number of their terms: BM25 needs both
  terms INTEGER NOT NULL,
  walked_namespace TEXT,                      -- building: the record up to which the build is complete; NULL: none yet
  walked_id TEXT,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (store_id, build)
) STRICT, WITHOUT ROWID;

CREATE TABLE chunks (
  store_id TEXT NOT NULL,
  build INTEGER NOT NULL,
  chunk INTEGER NOT NULL,
  namespace TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,                   -- the chunk's position in the record
  text TEXT NOT NULL,
  terms INTEGER NOT NULL,
  vector INTEGER,                             -- NULL: the build has no vectors
  PRIMARY KEY (store_id, build, chunk)
) STRICT;

CREATE INDEX chunks_by_record ON chunks (store_id, build, namespace, id, chunk, vector);

CREATE INDEX chunks_by_vector ON chunks (store_id, build, vector) WHERE vector IS NOT NULL;

CREATE TABLE segments (
  store_id TEXT NOT NULL,
  build INTEGER NOT NULL,
  segment INTEGER NOT NULL,
  state TEXT NOT NULL,                        -- live, merging (being made from others), merged (replaced)
  first_chunk INTEGER NOT NULL,
  end_chunk INTEGER NOT NULL,                 -- exclusive; some chunks in the range may be in other segments
  chunks INTEGER NOT NULL,                    -- live chunks when the segment was made
  bytes INTEGER NOT NULL,
  making_until INTEGER NOT NULL,              -- merging: no other process takes over before this time
  PRIMARY KEY (store_id, build, segment)
) STRICT, WITHOUT ROWID;

CREATE TABLE segment_blocks (
  store_id TEXT NOT NULL,
  build INTEGER NOT NULL,
  segment INTEGER NOT NULL,
  first_term TEXT NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (store_id, build, segment, first_term)
) STRICT;

CREATE TABLE vectors (
  store_id TEXT NOT NULL,
  space INTEGER NOT NULL,
  vector INTEGER NOT NULL,
  hash TEXT NOT NULL,                         -- SHA-256 of the text and of how it is embedded, hex
  embedding BLOB NOT NULL,                    -- of length 1; 32-bit floats
  PRIMARY KEY (store_id, space, vector)
) STRICT;

CREATE UNIQUE INDEX vectors_by_hash ON vectors (store_id, space, hash);

CREATE TABLE unused_vectors (
  store_id TEXT NOT NULL,
  space INTEGER NOT NULL,
  vector INTEGER NOT NULL,
  since INTEGER NOT NULL,                     -- ms since 1970
  PRIMARY KEY (store_id, space, vector)
) STRICT, WITHOUT ROWID;

CREATE TABLE vector_codes (
  store_id TEXT NOT NULL,
  space INTEGER NOT NULL,
  block INTEGER NOT NULL,                     -- has some of the 512 vectors from number block * 512 on
  places BLOB NOT NULL,                       -- their offsets in the block, 16 bits each
  codes BLOB NOT NULL,                        -- their codes, one after another
  scales BLOB NOT NULL,                       -- their scales, 32-bit floats
  PRIMARY KEY (store_id, space, block)
) STRICT;
