import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import type { TestContext } from "node:test";
import { whenDone } from "../../packages/server/test/when-done.ts";

/** A request as it arrived, and what was answered. */
export interface Passed {
  path: string;
  idempotencyKey: string | undefined;
  status: number;
  /** Whether the server had answered it before. */
  replayed: boolean;
}

/**
 * A proxy before a server that gives some first requests up: it lets the server do them, and answers something else.
 * @param refusals the statuses with which the first requests of a path are answered, with `Retry-After: 1`
 */
export async function startImpatientProxy(
  t: TestContext,
  server: string,
  refusals: Record<string, number[]>,
): Promise<{ url: string; passed: Passed[] }> {
  const passed: Passed[] = [];
  const left = structuredClone(refusals);
  const proxy = createServer(async (request, response) => {
    const path = request.url!;
    const body = await buffer(request);
    const headers = headersToPass(request.headers);
    const answer = await fetch(server + path, { method: request.method!, headers, body });
    const text = await answer.text();
    const status = left[path]?.shift();
    const idempotencyKey = headers["idempotency-key"];
    const replayed = answer.headers.has("idempotency-replayed");
    passed.push({ path, idempotencyKey, status: status ?? answer.status, replayed });
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
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, passed };
}

/** Those of a request that are its sender's, and not of one connection. */
function headersToPass(headers: IncomingHttpHeaders): Record<string, string> {
  const names = ["x-api-key", "content-type", "idempotency-key"];
  return Object.fromEntries(names.flatMap((name) => (headers[name] ? [[name, String(headers[name])]] : [])));
}
