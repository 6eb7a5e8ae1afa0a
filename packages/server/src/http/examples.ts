const STORE = {
  organization_id: "org_01jd0y3k9r8m2n4p6q8s0t2v4w",
  vector_store_id: "vs_01jd0y3k9r8m2n4p6q8s0t2v4w",
};

/** Examples of the API document, by the name of their schema. */
export const EXAMPLES: Record<string, unknown[] | undefined> = {
  CheckExistsRequest: [{ ...STORE, namespace: "clickup_tasks", ids: ["task_1", "task_2", "task_3"] }],
  CheckExistsResponse: [{ existing_ids: ["task_1", "task_3"], new_ids: ["task_2"], total_checked: 3 }],
  SearchRequest: [
    {
      query: "authentication bypass in VPN appliance",
      limit: 5,
      namespaces: ["vulnerabilities"],
      filter: { "vendor.name": { $in: ["Ivanti", "Fortinet"] }, ransomware: true },
      include: ["data"],
      after_sync: "sync_01jd0y3k9r8m2n4p6q8s0t2v4w",
    },
  ],
  SearchResponse: [
    {
      object: "search_results",
      mode: "hybrid",
      data: [
        {
          id: "CVE-2024-21887",
          namespace: "vulnerabilities",
          score: 0.0325,
          text: "Command injection in the web components of a VPN appliance …",
          synced_at: "2025-11-11T10:30:01.000Z",
        },
      ],
      indexing: { pending: 0 },
    },
  ],
  SyncRequest: [
    {
      ...STORE,
      sync_mode: "incremental",
      sync_timestamp: "2025-11-11T10:30:00Z",
      operations: [
        {
          action: "upsert",
          id: "task_1",
          namespace: "clickup_tasks",
          data: { name: "Write the release notes", status: "open" },
          source_system: "airbyte",
          updated_at: "2025-11-11T09:12:44Z",
        },
        { action: "delete", id: "task_2", namespace: "clickup_tasks" },
      ],
    },
  ],
  SyncResponse: [
    {
      status: "success",
      sync_id: "sync_01jd0y3k9r8m2n4p6q8s0t2v4w",
      processed: 150,
      results: { upserted: 145, deleted: 5, failed: 0 },
      by_namespace: {
        clickup_spaces: { upserted: 12, deleted: 1, failed: 0 },
        clickup_tasks: { upserted: 133, deleted: 4, failed: 0 },
      },
      processing_time_ms: 1234,
      changes: {
        created: 130,
        updated: 10,
        unchanged: 3,
        removed: 4,
        absent: 1,
        stale: 1,
        superseded: 1,
        cleared: 0,
      },
    },
  ],
  ErrorResponse: [
    {
      success: false,
      error: {
        code: "AUTHENTICATION_REQUIRED",
        message: "Authentication required. Please provide a valid API key.",
        system_message: "Missing or invalid authorization header",
        type: "authentication_error",
        status: 401,
        trace_id: "req_abc123xyz",
        timestamp: "2025-11-11T10:30:00Z",
        details: {},
      },
    },
  ],
};
