import type { Service } from "../service.ts";

/**
 * Creates an organization, a store, a connector and a reader's key, unless the database has an organization.
 * @returns the text for the person who started the server
 */
export async function bootstrap({ commands, url }: Pick<Service, "commands" | "url">): Promise<string> {
  const now = Date.now();
  const existing = await commands.listOrganizations({ limit: 1 });
  if (existing.data.length > 0) {
    return [
      `Tidemark is ready on ${url}. The API is described on ${url}/docs.`,
      "The database already has an organization; its keys were shown when they were created.",
      "To create another connector: npx tidemark connector create --organization org_… --store vs_… NAME",
    ].join("\n");
  }
  const organization = await commands.createOrganization({ name: "My organization" }, now);
  const store = await commands.createVectorStore(organization.id, { name: "My vector store" }, now);
  const connector = await commands.createConnector(
    organization.id,
    { name: "My connector", storeId: store.id },
    now,
  );
  const reader = await commands.createOwnerKey(
    { role: "reader", organizationId: organization.id, storeId: store.id, name: "My reader" },
    now,
  );
  const body = {
    organization_id: organization.id,
    vector_store_id: store.id,
    sync_mode: "incremental",
    sync_timestamp: new Date(now).toISOString(),
    operations: [
      {
        action: "upsert",
        id: "task_1",
        namespace: "clickup_tasks",
        data: { name: "Write the release notes", status: "open" },
      },
    ],
  };
  return `Tidemark is ready on ${url}. The API is described on ${url}/docs.

  organization  ${organization.id}
  vector store  ${store.id}
  connector     ${connector.id}
  its API key   ${connector.api_key}   (writes)
  reader's key  ${reader.api_key}   (searches)

The keys are shown only once: save them now.

Sync the first record:

curl -s ${url}/v1/pipeline/sync \\
  -H 'X-API-Key: ${connector.api_key}' \\
  -H 'Content-Type: application/json' \\
  -d '${JSON.stringify(body)}'

Search for it:

curl -s ${url}/v1/organizations/${organization.id}/vector-stores/${store.id}/search \\
  -H 'X-API-Key: ${reader.api_key}' \\
  -H 'Content-Type: application/json' \\
  -d '${JSON.stringify({ query: "release notes" })}'
`;
}
