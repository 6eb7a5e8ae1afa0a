import { connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { whenDone } from "../when-done.ts";

/** A proxy in front of a TCP server, whose connections can be made to fall silent without being closed. */
export interface FreezingProxy {
  port: number;
  /** From now on nothing passes on the connections that there are; new ones work. */
  freezeOpen(): void;
  /** From now on nothing passes on any connection, not on new ones either. */
  freezeAll(): void;
  /** Lets everything through again, what was held back first. */
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
        // A network that swallows everything swallows goodbyes too.
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
