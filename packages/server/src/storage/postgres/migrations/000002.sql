-- Organizations, stores, connectors, keys: small, read by every process, written by hand.

CREATE TABLE organizations (
  id text COLLATE "C" PRIMARY KEY,
  name text NOT NULL,
  created_at bigint NOT NULL                  -- ms since 1970, as every *_at below that says nothing else
);

CREATE TABLE vector_stores (
  id text COLLATE "C" PRIMARY KEY,
  organization_id text COLLATE "C" NOT NULL REFERENCES organizations (id),
  name text NOT NULL,
  description text,
  settings text NOT NULL,                     -- JSON
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  deleted_at bigint                           -- set: gone for every caller, its rows are being swept
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

-- Apart from the keys, because it changes all the time and they do not.
CREATE TABLE api_key_usage (
  key_id text COLLATE "C" PRIMARY KEY,
  last_used_at bigint NOT NULL
);

-- The ledger. store_id leads every key: a request touches one store.

CREATE TABLE store_revisions (
  store_id text COLLATE "C" PRIMARY KEY,
  revision bigint NOT NULL                    -- counts the store's syncs, without gaps, in commit order
);

CREATE TABLE namespaces (
  store_id text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  generation bigint NOT NULL,                 -- the one that readers see
  next_generation bigint NOT NULL,            -- the first that was never used
  refreshed_at bigint NOT NULL,               -- sync_timestamp of the last full refresh, ns since 1970; 0: none yet
  newest_at bigint NOT NULL,                  -- no record was decided by a later sync_timestamp than this, ns
  purged_at bigint NOT NULL,                  -- the newest sync_timestamp among purged tombstones, ns; 0: none
  records bigint NOT NULL,                    -- live ones
  digest text NOT NULL,                       -- sum of their hashes modulo 2^256, hex
  last_sync_at bigint NOT NULL,
  sweep_from text,                            -- the id that a sweep of dead rows goes on from; NULL: nothing to sweep
  PRIMARY KEY (store_id, namespace)
);
CREATE INDEX namespaces_to_sweep ON namespaces (store_id, namespace) WHERE sweep_from IS NOT NULL;

-- Staged full refreshes. Their rows wait in `records` under generations of their own.
CREATE TABLE refresh_runs (
  store_id text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  connector_id text COLLATE "C" NOT NULL,
  sync_timestamp bigint NOT NULL,             -- ns
  refresh_id text COLLATE "C" NOT NULL,       -- '' if the caller gave none
  operations bigint NOT NULL,                 -- that arrived, failed ones too, repeated parts not
  failed bigint NOT NULL,
  batches bigint NOT NULL,
  started_at bigint NOT NULL,
  state text NOT NULL,                        -- open, applied, ended (by a newer refresh), expired
  last_part_at bigint NOT NULL,
  last_part text,                             -- of an applied run: the hash of its last batch
  answer text,                                -- of an applied run: the answer to its last batch, JSON
  PRIMARY KEY (store_id, run_id)
);
CREATE UNIQUE INDEX refresh_runs_by_identity
  ON refresh_runs (store_id, connector_id, sync_timestamp, refresh_id);
CREATE INDEX refresh_runs_by_age ON refresh_runs (store_id, last_part_at);

-- What an unfinished run would do to each of its namespaces if it were applied now.
CREATE TABLE refresh_run_namespaces (
  store_id text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  sync_timestamp bigint NOT NULL,             -- of the run
  generation bigint NOT NULL,                 -- the run's rows in `records` have it
  upserts bigint NOT NULL,                    -- rows that are records, and the sum of their hashes
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
  recount bigint NOT NULL,                    -- 1: another refresh changed the namespace since, so count again
  PRIMARY KEY (store_id, namespace, run_id)
);
CREATE INDEX refresh_run_namespaces_by_run ON refresh_run_namespaces (store_id, run_id);

-- Parts that arrived, so that one sent twice counts once.
CREATE TABLE refresh_run_parts (
  store_id text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  part text COLLATE "C" NOT NULL,             -- SHA-256 of its operations, hex
  PRIMARY KEY (store_id, run_id, part)
);

-- Records that an unfinished run names without a staged row of them: because the operation failed (then the
-- record is not cleared), or because a newer sync decided the record (then the operation is stale).
CREATE TABLE refresh_run_exceptions (
  store_id text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,             -- failed, stale
  PRIMARY KEY (store_id, run_id, namespace, id, kind)
);

-- The first 200 of each Idempotency-Key, to be replayed.
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
  results text NOT NULL,                      -- JSON, as are the next two
  by_namespace text NOT NULL,
  changes text NOT NULL,
  PRIMARY KEY (store_id, revision)
);
CREATE UNIQUE INDEX syncs_by_id ON syncs (store_id, sync_id);
CREATE INDEX syncs_by_age ON syncs (store_id, received_at);

-- Narrow rows, each of a record in one to three generations. A record's current row is the one of which one is
-- namespaces.generation, or for which decided_at > namespaces.refreshed_at; there is never a second one.
CREATE TABLE records (
  store_id text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  generation bigint NOT NULL,                 -- that it was written for
  carried_in bigint,                             -- later generations that it was carried into; of refreshes
  also_carried_in bigint,                        -- that are over: without meaning, like NULL
  decided_at bigint,                          -- sync_timestamp that decided it, ns; NULL: its refresh
  version bigint,                             -- of its content; NULL: a tombstone
  hash text,                                  -- SHA-256 of id and content, hex
  fingerprint text,                           -- of the operation's text as it was sent: equal means same content
  written_at bigint NOT NULL,                 -- when this content, or the tombstone, arrived
  indexed bigint,                             -- the version whose text search finds the record by; NULL: none yet
  PRIMARY KEY (store_id, namespace, id, generation)
) WITH (fillfactor = 50);                     -- room for a newer time in the same page, without an index entry
CREATE INDEX tombstones_by_age ON records (store_id, written_at) WHERE version IS NULL;

-- What records say. Written once, shared by the rows of several generations.
CREATE TABLE contents (
  store_id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,                    -- revision * 8192 + position in the sync
  content text NOT NULL,                      -- canonical JSON of data, source_system, file, created_at, updated_at
  PRIMARY KEY (store_id, version)
);

-- The index queue: contents that came, and contents that no record is found by any more, until the index has handled
-- them.
CREATE TABLE index_queue (
  store_id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  queued_at bigint NOT NULL,
  due_at bigint DEFAULT 0,                    -- not claimed before; NULL: failed, until an operator retries it
  attempts bigint NOT NULL DEFAULT 0,         -- that failed
  error text,                                 -- of the last one that failed
  PRIMARY KEY (store_id, version)
) WITH (fillfactor = 50);                     -- room for a later time in the same page, without an index entry
CREATE INDEX index_queue_failed ON index_queue (store_id, version) WHERE attempts > 0;

-- The index: derived from the ledger, so it can be built anew at any time. A build is all of it, made with one set
-- of settings; a store has one that serves, and perhaps one that is being made.
CREATE TABLE index_builds (
  store_id text COLLATE "C" NOT NULL,
  build bigint NOT NULL,
  state text NOT NULL,                        -- active, building, retired
  settings text NOT NULL,                     -- JSON: of the text, and of the embeddings
  space bigint,                               -- its vectors are compared within this; NULL: it has none
  next_chunk bigint NOT NULL,
  next_segment bigint NOT NULL,
  chunks bigint NOT NULL,                     -- live ones, and their terms: what BM25 needs to know
  terms bigint NOT NULL,
  walked_namespace text,                      -- building: the record up to which it has everything; NULL: from the beginning
  walked_id text,
  created_at bigint NOT NULL,
  PRIMARY KEY (store_id, build)
);

-- Search finds a chunk if its version is what its record's current row is indexed by.
CREATE TABLE chunks (
  store_id text COLLATE "C" NOT NULL,
  build bigint NOT NULL,
  chunk bigint NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  ordinal bigint NOT NULL,                    -- its place in the record
  text text NOT NULL,
  terms bigint NOT NULL,
  vector bigint,                              -- NULL: the build has no vectors
  PRIMARY KEY (store_id, build, chunk)
);
-- Of the primary key they share the first column only: to a planner that has no figures yet, more of it would look as
-- good as all that they have.
CREATE INDEX chunks_by_record ON chunks (store_id, namespace, id, version, build, chunk, vector);
CREATE INDEX chunks_by_vector ON chunks (store_id, vector, build, namespace, chunk) WHERE vector IS NOT NULL;

-- The inverted index: immutable sorted lists of terms and where they occur, each of a batch of chunks, kept in blocks.
CREATE TABLE segments (
  store_id text COLLATE "C" NOT NULL,
  build bigint NOT NULL,
  segment bigint NOT NULL,
  state text NOT NULL,                        -- live, merging (being made of others), merged (into another: gone for search)
  first_chunk bigint NOT NULL,
  end_chunk bigint NOT NULL,                  -- excluded; some between them may be other segments'
  chunks bigint NOT NULL,                     -- live ones when it was made
  bytes bigint NOT NULL,
  making_until bigint NOT NULL,               -- merging: nobody else makes it before, ms
  PRIMARY KEY (store_id, build, segment)
);
CREATE TABLE segment_blocks (
  store_id text COLLATE "C" NOT NULL,
  build bigint NOT NULL,
  segment bigint NOT NULL,
  first_term text COLLATE "C" NOT NULL,
  data bytea NOT NULL,
  PRIMARY KEY (store_id, build, segment, first_term)
) WITH (toast_tuple_target = 8160);           -- a block lies in the row, and what is packed already is not packed again
ALTER TABLE segment_blocks ALTER COLUMN data SET STORAGE EXTERNAL;

-- Vectors by the text that they stand for, so that no text is embedded twice.
CREATE TABLE vectors (
  store_id text COLLATE "C" NOT NULL,
  space bigint NOT NULL,
  vector bigint NOT NULL,
  hash text COLLATE "C" NOT NULL,             -- SHA-256 of what was embedded, hex
  embedding real[] NOT NULL,                  -- of length 1
  PRIMARY KEY (store_id, space, vector)
) WITH (toast_tuple_target = 8160);
ALTER TABLE vectors ALTER COLUMN embedding SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX vectors_by_hash ON vectors (store_id, hash, space);

-- Vectors that no chunk had when they were last looked at, and since when: one that stays unused is removed.
CREATE TABLE unused_vectors (
  store_id text COLLATE "C" NOT NULL,
  space bigint NOT NULL,
  vector bigint NOT NULL,
  since bigint NOT NULL,                      -- ms since 1970
  PRIMARY KEY (store_id, space, vector)
);

-- Requests of the last minute, for the rate limits.
CREATE TABLE rate_windows (
  rate_window text COLLATE "C" PRIMARY KEY,
  requests bigint[] NOT NULL,                 -- when each arrived that was allowed
  allowed boolean NOT NULL,                   -- whether the last one was
  last_at bigint NOT NULL
);
CREATE INDEX rate_windows_by_age ON rate_windows (last_at);
