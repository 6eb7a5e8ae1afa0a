import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import type { TestContext } from "node:test";
import { whenDone } from "../../packages/server/test/when-done.ts";

/** A request, and how the proxy answered it. */
export interface ProxiedRequest {
  path: string;
  idempotencyKey: string | undefined;
  status: number;
  /** Whether the server repeated a saved answer. */
  replayed: boolean;
}

/**
 * Starts a proxy that forwards every request, but answers the first ones of some paths with an error of its own.
 * @param errors the statuses for the first requests of a path, which get `Retry-After: 1`
 */
export async function startImpatientProxy(
  t: TestContext,
  server: string,
  errors: Record<string, number[]>,
): Promise<{ url: string; requests: ProxiedRequest[] }> {
  const requests: ProxiedRequest[] = [];
  const left = structuredClone(errors);
  const proxy = createServer(async (request, response) => {
    const path = request.url!;
    const body = await buffer(request);
    const headers = headersToForward(request.headers);
    const answer = await fetch(server + path, { method: request.method!, headers, body });
    const text = await answer.text();
    const status = left[path]?.shift();
    const idempotencyKey = headers["idempotency-key"];
    const replayed = answer.headers.has("idempotency-replayed");
    requests.push({ path, idempotencyKey, status: status ?? answer.status, replayed });
    if (status === undefined) {
      response.writeHead(answer.status, { "content-type": "application/json" }).end(text);
    } else response.writeHead(status, { "retry-after": "1" }).end("<p>Not now.</p>");
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  whenDone(t, () => {
    proxy.close();
    proxy.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, requests };
}

/** The headers that do not belong to a single connection. */
function headersToForward(headers: IncomingHttpHeaders): Record<string, string> {
  const names = ["x-api-key", "content-type", "idempotency-key"];
  return Object.fromEntries(names.flatMap((name) => (headers[name] ? [[name, String(headers[name])]] : [])));
}
