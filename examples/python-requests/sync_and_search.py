"""Keeps a store in sync with tickets: changes with retries, search, a full refresh in parts, and the proof.

Needs Python 3.8 and `requests`. Set the environment as in examples/README.md, then run:

    python3 examples/python-requests/sync_and_search.py
"""

import itertools
import os
import sys
import uuid
from datetime import datetime, timezone

import requests
from namespace_digest import namespace_digest
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

URL = os.environ["TIDEMARK_URL"]
STORE = {
    "organization_id": os.environ["TIDEMARK_ORGANIZATION"],
    "vector_store_id": os.environ["TIDEMARK_STORE"],
}
SEARCH = "/v1/organizations/{organization_id}/vector-stores/{vector_store_id}/search".format(**STORE)
NAMESPACE = "zendesk_tickets"


def open_session(api_key):
    """A session that retries failed requests: after Retry-After, or at once and then after 1, 2, 4 … s."""
    retry = Retry(
        total=8,
        backoff_factor=0.5,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,  # POST too: reads are safe to repeat, and syncs have an Idempotency-Key.
        raise_on_status=False,  # post() reports the last answer.
    )
    session = requests.Session()
    session.headers["X-API-Key"] = api_key
    session.mount(URL, HTTPAdapter(max_retries=retry))
    return session


pipeline = open_session(os.environ["TIDEMARK_API_KEY"])
reader = open_session(os.environ["TIDEMARK_READER_KEY"])


def post(session, path, body, headers=None):
    answer = session.post(URL + path, json=body, headers=headers, timeout=120)
    if not answer.ok:
        raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text}")
    return answer.json()


def sync(**fields):
    # The server applies the sync once, however often the session sends it.
    key = {"Idempotency-Key": str(uuid.uuid4())}
    return post(pipeline, "/v1/pipeline/sync", {**STORE, **fields}, key)


def check_exists(ids):
    return post(pipeline, "/v1/pipeline/check-exists", {**STORE, "namespace": NAMESPACE, "ids": ids})


def search(query, after_sync):
    """Searches as soon as that sync is searchable."""
    body = {"query": query, "namespaces": [NAMESPACE], "after_sync": after_sync, "timeout_ms": 10_000}
    return post(reader, SEARCH, body)["data"]


def now():
    return datetime.now(timezone.utc).isoformat()


def upsert(ticket):
    return {"action": "upsert", "namespace": NAMESPACE, **ticket}


def refresh(tickets, part_size=1000):
    """Replaces the namespace by any number of tickets, in one instant at the end."""
    run = {"sync_mode": "full_refresh", "sync_timestamp": now(), "refresh_id": str(uuid.uuid4())}
    operations = map(upsert, tickets)
    sent = 0
    while part := list(itertools.islice(operations, part_size)):
        sync(**run, operations=part, last_batch=False)
        sent += len(part)
    return sync(
        **run,
        operations=[],
        namespaces=[NAMESPACE],  # Empties the namespace if there are no tickets.
        expected_operations=sent,  # A lost part is a 409 and loses no records.
        removal_limit="50%",  # A source that returned only half is a 409.
    )


def show(found):
    for row in found:
        print(f"  {row['id']}: {row['text']}")


tickets = [
    {"id": "ticket_1", "data": {"subject": "Printer on fire", "priority": 1}},
    {"id": "ticket_2", "data": {"subject": "Printer has no toner", "priority": 3}},
    {"id": "ticket_3", "data": {"subject": "Keyboard has no any key", "priority": 2.5}},
]

answer = sync(sync_mode="incremental", sync_timestamp=now(), operations=[*map(upsert, tickets)])
print("synced:", answer["results"])
print("existing:", check_exists(["ticket_1", "ticket_2", "ticket_4"])["existing_ids"])
print("search for a printer:")
show(search("printer", answer["sync_id"]))

delete = {"action": "delete", "id": "ticket_2", "namespace": NAMESPACE}
answer = sync(sync_mode="incremental", sync_timestamp=now(), operations=[delete])
print("deleted:", answer["changes"]["removed"])
print("search for a printer:")
show(search("printer", answer["sync_id"]))

# Now the source has a new ticket, and ticket_3 is gone.
tickets = [tickets[0], {"id": "ticket_4", "data": {"subject": "Paper jam in the printer", "priority": 2}}]
answer = refresh(tickets, part_size=1)
print("refreshed:", {name: count for name, count in answer["changes"].items() if count})
print("search for a printer:")
show(search("printer", answer["sync_id"]))

if answer["digests"][NAMESPACE] != namespace_digest(tickets):
    sys.exit("not in sync: something else writes this namespace")
print("in sync:", answer["digests"][NAMESPACE])
