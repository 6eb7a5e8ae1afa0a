import { connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { whenDone } from "../when-done.ts";

/** A proxy in front of a TCP server that can silence connections without closing them. */
export interface FreezingProxy {
  port: number;
  /** Silences the existing connections; new ones work. */
  freezeOpen(): void;
  /** Silences all connections, including new ones. */
  freezeAll(): void;
  /** Lets everything pass again, beginning with what was held back. */
  thaw(): void;
}

export async function startFreezingProxy(t: TestContext, port: number): Promise<FreezingProxy> {
  let frozen = false;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("data", (bytes) => to.write(bytes));
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        // A network that drops everything also drops the end of a connection.
        if (!from.isPaused()) to.destroy();
      });
      if (frozen) from.pause();
    }
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const freezeOpen = () => {
    for (const socket of sockets) socket.pause();
  };
  whenDone(t, () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as { port: number }).port,
    freezeOpen,
    freezeAll() {
      frozen = true;
      freezeOpen();
    },
    thaw() {
      frozen = false;
      for (const socket of sockets) socket.resume();
    },
  };
}
