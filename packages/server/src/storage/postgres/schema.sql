-- The schema that results from the migrations in this folder, only for reading.
-- test/conformance/postgres-schema.test.ts writes it, says how, and fails if it is stale.

CREATE TABLE api_key_usage (
  key_id text COLLATE "C" NOT NULL,
  last_used_at bigint NOT NULL,
  PRIMARY KEY (key_id)
);

CREATE TABLE api_keys (
  id text COLLATE "C" NOT NULL,
  hash text NOT NULL,
  role text NOT NULL,
  name text,
  organization_id text COLLATE "C" NOT NULL,
  vector_store_id text COLLATE "C",
  connector_id text COLLATE "C",
  created_at bigint NOT NULL,
  expires_at bigint,
  revoked_at bigint,
  PRIMARY KEY (id),
  FOREIGN KEY (connector_id) REFERENCES connectors(id),
  FOREIGN KEY (organization_id) REFERENCES organizations(id),
  FOREIGN KEY (vector_store_id) REFERENCES vector_stores(id)
);
CREATE INDEX api_keys_by_connector ON api_keys USING btree (connector_id) WHERE (connector_id IS NOT NULL);
CREATE INDEX api_keys_by_organization ON api_keys USING btree (organization_id, id);
CREATE INDEX api_keys_by_store ON api_keys USING btree (vector_store_id) WHERE (vector_store_id IS NOT NULL);

CREATE TABLE chunks (
  store_id text COLLATE "C" NOT NULL,
  build bigint NOT NULL,
  chunk bigint NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  ordinal bigint NOT NULL,
  text text NOT NULL,
  terms bigint NOT NULL,
  vector bigint,
  PRIMARY KEY (store_id, build, chunk)
);
CREATE INDEX chunks_by_record ON chunks USING btree (store_id, namespace, id, version, build, chunk, vector);
CREATE INDEX chunks_by_vector ON chunks USING btree (store_id, vector, build, namespace, chunk) WHERE (vector IS NOT NULL);

CREATE TABLE connectors (
  id text COLLATE "C" NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  vector_store_id text COLLATE "C" NOT NULL,
  name text NOT NULL,
  created_at bigint NOT NULL,
  deleted_at bigint,
  PRIMARY KEY (id),
  FOREIGN KEY (organization_id) REFERENCES organizations(id),
  FOREIGN KEY (vector_store_id) REFERENCES vector_stores(id)
);
CREATE INDEX connectors_by_organization ON connectors USING btree (organization_id, id);
CREATE INDEX connectors_by_store ON connectors USING btree (vector_store_id);

CREATE TABLE contents (
  store_id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  content text NOT NULL,
  PRIMARY KEY (store_id, version)
);

CREATE TABLE idempotency_keys (
  store_id text COLLATE "C" NOT NULL,
  connector_id text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  body text NOT NULL,
  answer text NOT NULL,
  created_at bigint NOT NULL,
  PRIMARY KEY (store_id, connector_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys USING btree (store_id, created_at);

CREATE TABLE index_builds (
  store_id text COLLATE "C" NOT NULL,
  build bigint NOT NULL,
  state text NOT NULL,
  settings text NOT NULL,
  space bigint,
  next_chunk bigint NOT NULL,
  next_segment bigint NOT NULL,
  chunks bigint NOT NULL,
  terms bigint NOT NULL,
  walked_namespace text,
  walked_id text,
  created_at bigint NOT NULL,
  PRIMARY KEY (store_id, build)
);

CREATE TABLE index_queue (
  store_id text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  queued_at bigint NOT NULL,
  due_at bigint DEFAULT 0,
  attempts bigint NOT NULL DEFAULT 0,
  error text,
  PRIMARY KEY (store_id, version)
) WITH (fillfactor=50);
CREATE INDEX index_queue_failed ON index_queue USING btree (store_id, version) WHERE (attempts > 0);

CREATE TABLE namespaces (
  store_id text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  generation bigint NOT NULL,
  next_generation bigint NOT NULL,
  refreshed_at bigint NOT NULL,
  newest_at bigint NOT NULL,
  purged_at bigint NOT NULL,
  records bigint NOT NULL,
  digest text NOT NULL,
  last_sync_at bigint NOT NULL,
  sweep_from text,
  PRIMARY KEY (store_id, namespace)
);
CREATE INDEX namespaces_to_sweep ON namespaces USING btree (store_id, namespace) WHERE (sweep_from IS NOT NULL);

CREATE TABLE organizations (
  id text COLLATE "C" NOT NULL,
  name text NOT NULL,
  created_at bigint NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE rate_windows (
  rate_window text COLLATE "C" NOT NULL,
  requests bigint[] NOT NULL,
  allowed boolean NOT NULL,
  last_at bigint NOT NULL,
  PRIMARY KEY (rate_window)
);
CREATE INDEX rate_windows_by_age ON rate_windows USING btree (last_at);

CREATE TABLE records (
  store_id text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  generation bigint NOT NULL,
  carried_in bigint,
  also_carried_in bigint,
  decided_at bigint,
  version bigint,
  hash text,
  fingerprint text,
  written_at bigint NOT NULL,
  indexed bigint,
  PRIMARY KEY (store_id, namespace, id, generation)
) WITH (fillfactor=50);
CREATE INDEX tombstones_by_age ON records USING btree (store_id, written_at) WHERE (version IS NULL);

CREATE TABLE refresh_run_exceptions (
  store_id text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  PRIMARY KEY (store_id, run_id, namespace, id, kind)
);

CREATE TABLE refresh_run_namespaces (
  store_id text COLLATE "C" NOT NULL,
  namespace text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  sync_timestamp bigint NOT NULL,
  generation bigint NOT NULL,
  upserts bigint NOT NULL,
  digest text NOT NULL,
  newer_records bigint NOT NULL,
  newer_digest text NOT NULL,
  created bigint NOT NULL,
  updated bigint NOT NULL,
  unchanged bigint NOT NULL,
  removed bigint NOT NULL,
  absent bigint NOT NULL,
  stale bigint NOT NULL,
  superseded bigint NOT NULL,
  recount bigint NOT NULL,
  PRIMARY KEY (store_id, namespace, run_id)
);
CREATE INDEX refresh_run_namespaces_by_run ON refresh_run_namespaces USING btree (store_id, run_id);

CREATE TABLE refresh_run_parts (
  store_id text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  part text COLLATE "C" NOT NULL,
  PRIMARY KEY (store_id, run_id, part)
);

CREATE TABLE refresh_runs (
  store_id text COLLATE "C" NOT NULL,
  run_id text COLLATE "C" NOT NULL,
  connector_id text COLLATE "C" NOT NULL,
  sync_timestamp bigint NOT NULL,
  refresh_id text COLLATE "C" NOT NULL,
  operations bigint NOT NULL,
  failed bigint NOT NULL,
  batches bigint NOT NULL,
  started_at bigint NOT NULL,
  state text NOT NULL,
  last_part_at bigint NOT NULL,
  last_part text,
  answer text,
  PRIMARY KEY (store_id, run_id)
);
CREATE INDEX refresh_runs_by_age ON refresh_runs USING btree (store_id, last_part_at);
CREATE UNIQUE INDEX refresh_runs_by_identity ON refresh_runs USING btree (store_id, connector_id, sync_timestamp, refresh_id);

CREATE TABLE schema_migrations (
  number integer NOT NULL,
  applied_at timestamp with time zone NOT NULL,
  PRIMARY KEY (number)
);

CREATE TABLE segment_blocks (
  store_id text COLLATE "C" NOT NULL,
  build bigint NOT NULL,
  segment bigint NOT NULL,
  first_term text COLLATE "C" NOT NULL,
  data bytea NOT NULL,
  PRIMARY KEY (store_id, build, segment, first_term)
) WITH (toast_tuple_target=8160);

CREATE TABLE segments (
  store_id text COLLATE "C" NOT NULL,
  build bigint NOT NULL,
  segment bigint NOT NULL,
  state text NOT NULL,
  first_chunk bigint NOT NULL,
  end_chunk bigint NOT NULL,
  chunks bigint NOT NULL,
  bytes bigint NOT NULL,
  making_until bigint NOT NULL,
  PRIMARY KEY (store_id, build, segment)
);

CREATE TABLE store_revisions (
  store_id text COLLATE "C" NOT NULL,
  revision bigint NOT NULL,
  PRIMARY KEY (store_id)
);

CREATE TABLE syncs (
  store_id text COLLATE "C" NOT NULL,
  revision bigint NOT NULL,
  sync_id text COLLATE "C" NOT NULL,
  connector_id text COLLATE "C" NOT NULL,
  mode text NOT NULL,
  status text NOT NULL,
  sync_timestamp bigint NOT NULL,
  refresh_id text COLLATE "C",
  received_at bigint NOT NULL,
  duration_ms bigint NOT NULL,
  trace_id text NOT NULL,
  results text NOT NULL,
  by_namespace text NOT NULL,
  changes text NOT NULL,
  PRIMARY KEY (store_id, revision)
);
CREATE INDEX syncs_by_age ON syncs USING btree (store_id, received_at);
CREATE UNIQUE INDEX syncs_by_id ON syncs USING btree (store_id, sync_id);

CREATE TABLE unused_vectors (
  store_id text COLLATE "C" NOT NULL,
  space bigint NOT NULL,
  vector bigint NOT NULL,
  since bigint NOT NULL,
  PRIMARY KEY (store_id, space, vector)
);

CREATE TABLE vector_stores (
  id text COLLATE "C" NOT NULL,
  organization_id text COLLATE "C" NOT NULL,
  name text NOT NULL,
  description text,
  settings text NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  deleted_at bigint,
  PRIMARY KEY (id),
  FOREIGN KEY (organization_id) REFERENCES organizations(id)
);
CREATE INDEX vector_stores_by_organization ON vector_stores USING btree (organization_id, id);

CREATE TABLE vectors (
  store_id text COLLATE "C" NOT NULL,
  space bigint NOT NULL,
  vector bigint NOT NULL,
  hash text COLLATE "C" NOT NULL,
  embedding real[] NOT NULL,
  PRIMARY KEY (store_id, space, vector)
) WITH (toast_tuple_target=8160);
CREATE UNIQUE INDEX vectors_by_hash ON vectors USING btree (store_id, hash, space);
