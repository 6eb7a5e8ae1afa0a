#!/usr/bin/env bash
# Syncs three records, asks which exist, searches, deletes one, and searches again. Prints the server's answers.
# Needs bash and curl 7.76 or newer. From examples/README.md, with the environment that it sets:
#
#   examples/curl/sync-and-search.sh
set -euo pipefail

: "${TIDEMARK_URL:?}" "${TIDEMARK_ORGANIZATION:?}" "${TIDEMARK_STORE:?}"
: "${TIDEMARK_API_KEY:?a key of a connector, which writes}" "${TIDEMARK_READER_KEY:?a key of a reader, which searches}"

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# post KEY PATH [HEADER]: sends the JSON of standard input and prints the answer. An error's goes to standard error.
# curl waits and tries again after 429 and 503, as long as Retry-After says. The key comes from a file, because
# arguments are seen by everyone on the machine.
post() {
  curl --silent --show-error --fail-with-body --retry 5 --max-time 120 --output "$answer" \
    --header @<(echo "X-API-Key: $1") --header "Content-Type: application/json" ${3:+--header "$3"} \
    --data-binary @- "$TIDEMARK_URL$2" || { cat "$answer" >&2; return 1; }
  cat "$answer"
}

# sync_records: applies the operations of standard input, all or none. With a key of its own, it is applied once,
# however often curl has to send it.
sync_records() {
  post "$TIDEMARK_API_KEY" /v1/pipeline/sync "Idempotency-Key: $(date +%s)-$RANDOM$RANDOM" <<JSON
{
  "organization_id": "$TIDEMARK_ORGANIZATION",
  "vector_store_id": "$TIDEMARK_STORE",
  "sync_mode": "incremental",
  "sync_timestamp": "$(date -u +%Y-%m-%dT%H:%M:%SZ)",
  "operations": [$(cat)]
}
JSON
}

# search QUERY SYNC: waits until what that sync did is searchable.
search() {
  local store=/v1/organizations/$TIDEMARK_ORGANIZATION/vector-stores/$TIDEMARK_STORE
  post "$TIDEMARK_READER_KEY" "$store/search" <<JSON
{"query": "$1", "namespaces": ["clickup_tasks"], "after_sync": "$2", "timeout_ms": 10000}
JSON
}

# sync_id: the id in a sync's answer. Where there is jq: jq -r .sync_id
sync_id() { sed -E 's/.*"sync_id":"([^"]*)".*/\1/'; }

echo "== Sync three records"
synced=$(sync_records <<'JSON'
{"action": "upsert", "id": "task_1", "namespace": "clickup_tasks", "data": {"name": "Write the release notes", "status": "open"}},
{"action": "upsert", "id": "task_2", "namespace": "clickup_tasks", "data": {"name": "Print the release notes", "status": "open"}},
{"action": "upsert", "id": "task_3", "namespace": "clickup_tasks", "data": {"name": "Order more paper", "status": "done"}}
JSON
)
echo "$synced"

echo "== Which of these exist?"
post "$TIDEMARK_API_KEY" /v1/pipeline/check-exists <<JSON
{
  "organization_id": "$TIDEMARK_ORGANIZATION",
  "vector_store_id": "$TIDEMARK_STORE",
  "namespace": "clickup_tasks",
  "ids": ["task_1", "task_2", "task_3", "task_4"]
}
JSON
echo

echo "== Search"
search "release notes" "$(sync_id <<<"$synced")"
echo

echo "== Delete one"
deleted=$(sync_records <<<'{"action": "delete", "id": "task_2", "namespace": "clickup_tasks"}')
echo "$deleted"

echo "== Search again"
search "release notes" "$(sync_id <<<"$deleted")"
echo
