-- Organizations, stores, connectors and keys: small tables that people manage and every process reads.

CREATE TABLE organizations (
  id text COLLATE "C" PRIMARY KEY,
  name text NOT NULL,
  created_at bigint NOT NULL                  -- ms since 1970, like every *_at without another unit
);

CREATE TABLE vector_stores (
  id text COLLATE "C" PRIMARY KEY,
  organization_id text COLLATE "C" NOT NULL REFERENCES organizations (id),
  name text NOT NULL,
  description text,
  settings text NOT NULL,                     -- JSON
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  deleted_at bigint                           -- if set, callers cannot reach the store and its rows are being removed
);
CREATE INDEX vector_stores_by_organization ON vector_stores (organization_id, id);

CREATE TABLE connectors (
  id text COLLATE "C" PRIMARY KEY,
  organization_id text COLLATE "C" NOT NULL REFERENCES organizations (id),
  vector_store_id text COLLATE "C" NOT NULL REFERENCES vector_stores (id),
  name text NOT NULL,
  created_at bigint NOT NULL,
  deleted_at bigint
);
CREATE INDEX connectors_by_organization ON connectors (organization_id, id);
CREATE INDEX connectors_by_store ON connectors (vector_store_id);

CREATE TABLE api_keys (
  id text COLLATE "C" PRIMARY KEY,            -- key_ and the short id that the key itself contains
  hash text NOT NULL,                         -- SHA-256 of the whole key, hex
  role text NOT NULL,
  name text,
  organization_id text COLLATE "C" NOT NULL REFERENCES organizations (id),
  vector_store_id text COLLATE "C" REFERENCES vector_stores (id),
  connector_id text COLLATE "C" REFERENCES connectors (id),
  created_at bigint NOT NULL,
  expires_at bigint,
  revoked_at bigint
);
CREATE INDEX api_keys_by_organization ON api_keys (organization_id, id);
CREATE INDEX api_keys_by_store ON api_keys (vector_store_id) WHERE vector_store_id IS NOT NULL;
CREATE INDEX api_keys_by_connector ON api_keys (connector_id) WHERE connector_id IS NOT NULL;

-- A table of its own, because it changes all the time and keys do not.
CREATE TABLE api_key_usage (
  key_id text COLLATE "C" PRIMARY KEY,
  last_used_at bigint NOT NULL
);

-- The ledger. Every key starts with store_id, because a request touches one store.

CREATE TABLE store_revisions (
  store_id text COLLATE "C" PRIMARY KEY,
  revision bigint NOT NULL                    -- the number of the store's last sync, in commit order without gaps
);

CREATE TABLE namespaces (
  store_id text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  generation bigint NOT NULL,                 -- the generation that readers see
  next_generation bigint NOT NULL,            -- the first unused generation
  refreshed_at bigint NOT NULL,               -- the floor: sync_timestamp of the last full refresh, ns; 0: none yet
  newest_at bigint NOT NULL,                  -- no sync newer than this decided a record, ns
  purged_at bigint NOT NULL,                  -- the newest decided_at of purged tombstones, ns; 0: none
  records bigint NOT NULL,                    -- live records
  digest text NOT NULL,                       -- sum of the live records' hashes modulo 2^256, hex
  last_sync_at bigint NOT NULL,
  sweep_from text,                            -- the id from which the sweep continues; NULL: nothing to sweep
  PRIMARY KEY (store_id, namespace)
);
CREATE INDEX namespaces_to_sweep ON namespaces (store_id, namespace) WHERE sweep_from IS NOT NULL;

-- Staged full refreshes. Their staged rows are in `records`, with generations of their own.
CREATE TABLE refresh_runs (
  store_id text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  connector_id text COLLATE "C" NOT NULL,
  sync_timestamp bigint NOT NULL,             -- ns
  refresh_id text COLLATE "C" NOT NULL,       -- '' if the caller gave none
  operations bigint NOT NULL,                 -- received, including failed ones; repeated parts count once
  failed bigint NOT NULL,
  batches bigint NOT NULL,
  started_at bigint NOT NULL,
  state text NOT NULL,                        -- open, applied, ended (by a newer refresh), expired
  last_part_at bigint NOT NULL,
  last_part text,                             -- the hash of an applied run's last batch
  answer text,                                -- the answer to an applied run's last batch, JSON
  PRIMARY KEY (store_id, run_id)
);
CREATE UNIQUE INDEX refresh_runs_by_identity
  ON refresh_runs (store_id, connector_id, sync_timestamp, refresh_id);
CREATE INDEX refresh_runs_by_age ON refresh_runs (store_id, last_part_at);

-- What an open run would do to each of its namespaces if it were applied now.
CREATE TABLE refresh_run_namespaces (
  store_id text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  sync_timestamp bigint NOT NULL,             -- the run's
  generation bigint NOT NULL,                 -- of the run's rows in `records`
  upserts bigint NOT NULL,                    -- the run's rows with content, and the sum of their hashes
  digest text NOT NULL,
  newer_records bigint NOT NULL,              -- live records that a newer sync decided, and the sum of their hashes
  newer_digest text NOT NULL,
  created bigint NOT NULL,
  updated bigint NOT NULL,
  unchanged bigint NOT NULL,
  removed bigint NOT NULL,
  absent bigint NOT NULL,
  stale bigint NOT NULL,
  superseded bigint NOT NULL,
  recount bigint NOT NULL,                    -- 1: another refresh flipped the namespace, so recount first
  PRIMARY KEY (store_id, namespace, run_id)
);
CREATE INDEX refresh_run_namespaces_by_run ON refresh_run_namespaces (store_id, run_id);

-- Received parts, so that a repeated part counts once.
CREATE TABLE refresh_run_parts (
  store_id text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  part text COLLATE "C" NOT NULL,             -- SHA-256 of the part's operations, hex
  PRIMARY KEY (store_id, run_id, part)
);

-- Records that an open run names without a staged row: because the operation failed (then the record is not cleared),
-- or because a newer sync decided the record (then the operation is stale).
CREATE TABLE refresh_run_exceptions (
  store_id text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,             -- failed, stale
  PRIMARY KEY (store_id, run_id, namespace, id, kind)
);

-- The answer to the first successful request of each Idempotency-Key, for replays.
CREATE TABLE idempotency_keys (
  store_id text COLLATE "C" NOT NULL,
  connector_id text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  body text NOT NULL,                         -- SHA-256 of the request's body, hex
  answer text NOT NULL,                       -- JSON
  created_at bigint NOT NULL,
  PRIMARY KEY (store_id, connector_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (store_id, created_at);

-- History: one row for each acknowledged sync.
CREATE TABLE syncs (
  store_id text COLLATE "C" NOT NULL,
  revision bigint NOT NULL,
  sync_id text COLLATE "C" NOT NULL,
  connector_id text COLLATE "C" NOT NULL,
  mode text NOT NULL,
  status text NOT NULL,
  sync_timestamp bigint NOT NULL,             -- ns
  refresh_id text COLLATE "C",
  received_at bigint NOT NULL,
  duration_ms bigint NOT NULL,
  trace_id text NOT NULL,
  results text NOT NULL,                      -- JSON, like the next two
  by_namespace text NOT NULL,
  changes text NOT NULL,
  PRIMARY KEY (store_id, revision)
);
CREATE UNIQUE INDEX syncs_by_id ON syncs (store_id, sync_id);
CREATE INDEX syncs_by_age ON syncs (store_id, received_at);

-- Each row is one state of a record and belongs to one to three generations. A record has at most one current row: one
-- that belongs to namespaces.generation, or whose decided_at > namespaces.refreshed_at.
CREATE TABLE records (
  store_id text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  generation bigint NOT NULL,                 -- the generation that the row was written for
  carried_in bigint,                          -- generations of later refreshes that the row is carried into; those of
  also_carried_in bigint,                     -- finished refreshes mean nothing, like NULL
  decided_at bigint,                          -- sync_timestamp that decided the record, ns; NULL: the refresh
  version bigint,                             -- of the record's content; NULL: a tombstone
  hash text,                                  -- SHA-256 of id and content, hex
  fingerprint text,                           -- hash of the operation's bytes as sent: equal means same content
  written_at bigint NOT NULL,                 -- when this content or the tombstone arrived
  indexed bigint,                             -- the version that the row is found by; NULL: none yet
  PRIMARY KEY (store_id, namespace, id, generation)
) WITH (fillfactor = 50);                     -- room to update a time within the page, without new index entries
CREATE INDEX tombstones_by_age ON records (store_id, written_at) WHERE version IS NULL;

-- The contents of records. Rows of several generations can share one.
CREATE TABLE contents (
  store_id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,                    -- revision * 8192 + position in the sync
  content text NOT NULL,                      -- canonical JSON of data, source_system, file, created_at, updated_at
  PRIMARY KEY (store_id, version)
);

-- The index queue: new versions, and versions that no row is found by any longer, until the indexer has settled them.
CREATE TABLE index_queue (
  store_id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  queued_at bigint NOT NULL,
  due_at bigint DEFAULT 0,                    -- no claim before this time; NULL: failed, until an operator retries it
  attempts bigint NOT NULL DEFAULT 0,         -- failed attempts
  error text,                                 -- of the last failed attempt
  PRIMARY KEY (store_id, version)
) WITH (fillfactor = 50);                     -- room to update a time within the page, without new index entries
CREATE INDEX index_queue_failed ON index_queue (store_id, version) WHERE attempts > 0;

-- The index is derived from the ledger and can be rebuilt at any time. A build is a whole index, made with one set of
-- settings; a store has one active build, and perhaps one that is being built.
CREATE TABLE index_builds (
  store_id text COLLATE "C" NOT NULL,
  build bigint NOT NULL,
  state text NOT NULL,                        -- active, building, retired
  settings text NOT NULL,                     -- JSON: settings of the text and of the embeddings
  space bigint,                               -- the vector space of its vectors; NULL: it has no vectors
  next_chunk bigint NOT NULL,
  next_segment bigint NOT NULL,
  chunks bigint NOT NULL,                     -- live chunks, and the number of their terms: BM25 needs both
  terms bigint NOT NULL,
  walked_namespace text,                      -- building: the record up to which the build is complete; NULL: none yet
  walked_id text,
  created_at bigint NOT NULL,
  PRIMARY KEY (store_id, build)
);

-- Search shows a chunk if its record's current row is found by the chunk's version.
CREATE TABLE chunks (
  store_id text COLLATE "C" NOT NULL,
  build bigint NOT NULL,
  chunk bigint NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  ordinal bigint NOT NULL,                    -- the chunk's position in the record
  text text NOT NULL,
  terms bigint NOT NULL,
  vector bigint,                              -- NULL: the build has no vectors
  PRIMARY KEY (store_id, build, chunk)
);
-- These indexes share only the first column of the primary key, because without statistics the planner would take the
-- primary key for as good as them if they shared more.
CREATE INDEX chunks_by_record ON chunks (store_id, namespace, id, version, build, chunk, vector);
CREATE INDEX chunks_by_vector ON chunks (store_id, vector, build, namespace, chunk) WHERE vector IS NOT NULL;

-- The inverted index: immutable sorted lists of terms and postings, each for a batch of chunks, stored in blocks.
CREATE TABLE segments (
  store_id text COLLATE "C" NOT NULL,
  build bigint NOT NULL,
  segment bigint NOT NULL,
  state text NOT NULL,                        -- live, merging (being made from others), merged (replaced)
  first_chunk bigint NOT NULL,
  end_chunk bigint NOT NULL,                  -- exclusive; some chunks in the range may be in other segments
  chunks bigint NOT NULL,                     -- live chunks when the segment was made
  bytes bigint NOT NULL,
  making_until bigint NOT NULL,               -- merging: no other process takes over before this time
  PRIMARY KEY (store_id, build, segment)
);
CREATE TABLE segment_blocks (
  store_id text COLLATE "C" NOT NULL,
  build bigint NOT NULL,
  segment bigint NOT NULL,
  first_term text COLLATE "C" NOT NULL,
  data bytea NOT NULL,
  PRIMARY KEY (store_id, build, segment, first_term)
) WITH (toast_tuple_target = 8160);           -- stores a block within its row; it is compressed already
ALTER TABLE segment_blocks ALTER COLUMN data SET STORAGE EXTERNAL;

-- Vectors by the hash of their text, so that no text is embedded twice.
CREATE TABLE vectors (
  store_id text COLLATE "C" NOT NULL,
  space bigint NOT NULL,
  vector bigint NOT NULL,
  hash text COLLATE "C" NOT NULL,             -- SHA-256 of the text and of how it is embedded, hex
  embedding real[] NOT NULL,                  -- of length 1
  PRIMARY KEY (store_id, space, vector)
) WITH (toast_tuple_target = 8160);
ALTER TABLE vectors ALTER COLUMN embedding SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX vectors_by_hash ON vectors (store_id, hash, space);

-- Vectors that no chunk had when the sweep last checked them; a vector that stays unused is removed.
CREATE TABLE unused_vectors (
  store_id text COLLATE "C" NOT NULL,
  space bigint NOT NULL,
  vector bigint NOT NULL,
  since bigint NOT NULL,                      -- ms since 1970
  PRIMARY KEY (store_id, space, vector)
);

-- The requests of the last minute, for rate limits.
CREATE TABLE rate_windows (
  rate_window text COLLATE "C" PRIMARY KEY,
  requests bigint[] NOT NULL,                 -- arrival times of the allowed requests
  allowed boolean NOT NULL,                   -- whether the last request was allowed
  last_at bigint NOT NULL
);
CREATE INDEX rate_windows_by_age ON rate_windows (last_at);
