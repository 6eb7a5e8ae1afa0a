import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { ApiError } from "@tidemark/protocol/errors";
import type { CommandName } from "../commands.ts";
import { type Call, fromPlain, type Reply, type WorkerSetup } from "./messages.ts";

/** Room for the short-lived values of a 5000-operation batch, so that they are freed young instead of being copied. */
const YOUNG_GENERATION_MB = 48;

/** Pause before another attempt to replace a thread that died. */
const RESPAWN_AFTER_MS = 500;

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** One worker thread that answers calls. A thread that dies is replaced, and its calls get a 503. */
export class Thread {
  #setup: WorkerSetup;
  #onDeath: (error: Error) => void;
  #worker!: Worker;
  #waiting = new Map<number, Waiting>();
  #calls = 0;
  #closing = false;
  /** Set while a worker cannot start. */
  #respawn: NodeJS.Timeout | undefined;

  /** Resolves with the database's warnings when the thread has opened the database; rejects if it cannot. */
  readonly ready: Promise<string[]>;

  /** @param onDeath called when the thread died and is being replaced */
  constructor(setup: WorkerSetup, onDeath: (error: Error) => void) {
    this.#setup = setup;
    this.#onDeath = onDeath;
    this.ready = this.#spawn();
  }

  async #spawn(): Promise<string[]> {
    const { duty } = this.#setup;
    const name = duty === "checkpoint" ? "./checkpoint-worker" : "./command-worker";
    const extension = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
    const worker = new Worker(new URL(name + extension, import.meta.url), {
      workerData: this.#setup,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    this.#worker = worker;
    // The first message means that the database is open; the caller handles an earlier error.
    const ended = new AbortController();
    worker.once("exit", (code) => ended.abort(new Error(`A ${duty} thread ended with exit code ${code}.`)));
    const [warnings] = await once(worker, "message", { signal: ended.signal });
    worker.on("message", (reply: Reply) => this.#settle(reply));
    worker.on("error", (error) => this.#replace(error));
    worker.on("exit", (code) => {
      if (code !== 0) this.#replace(new Error(`A ${duty} thread ended with exit code ${code}.`));
    });
    return warnings;
  }

  call(command: CommandName, args: unknown[], transfer: ArrayBuffer[] = []): Promise<unknown> {
    if (this.#respawn) return Promise.reject(new ApiError("SERVICE_UNAVAILABLE", { outcome: "not_applied" }));
    const number = this.#calls++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(number, { resolve, reject });
    this.#worker.postMessage({ number, command, args } satisfies Call, transfer);
    return promise;
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#respawn);
    if (this.#worker.threadId === -1) return;
    const ended = once(this.#worker, "exit");
    this.#worker.postMessage("close");
    await ended;
  }

  #settle(reply: Reply): void {
    const waiting = this.#waiting.get(reply.number);
    this.#waiting.delete(reply.number);
    if ("error" in reply) waiting?.reject(fromPlain(reply.error));
    else waiting?.resolve(reply.result);
  }

  #replace(error: Error): void {
    if (this.#closing) return;
    this.#worker
      .removeAllListeners("error")
      .removeAllListeners("exit")
      .on("error", () => {});
    this.#rejectWaiting("unknown");
    this.#onDeath(error);
    this.#revive();
  }

  /** Starts workers until one opens the database. */
  #revive(): void {
    this.#respawn = undefined;
    this.#spawn().catch((failure) => {
      if (this.#closing) return;
      this.#onDeath(failure);
      this.#respawn = setTimeout(() => this.#revive(), RESPAWN_AFTER_MS);
      this.#rejectWaiting("not_applied");
    });
  }

  #rejectWaiting(outcome: "unknown" | "not_applied"): void {
    const lost = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of lost) reject(new ApiError("SERVICE_UNAVAILABLE", { outcome }));
  }
}
