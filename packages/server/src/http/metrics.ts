import type { SearchResponse } from "@tidemark/protocol/search";
import type { FastifyInstance } from "fastify";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Commands } from "../commands.ts";
import type { SyncAnswer } from "../pipeline.ts";
import type { IndexLag, IndexProgress } from "./index-progress.ts";

/** The Prometheus metrics of one server. */
export class Metrics {
  readonly registry = new Registry();

  #requestSeconds = new Histogram({
    name: "tidemark_http_request_duration_seconds",
    help: "Time from a request's arrival to its answer, by route, method and status.",
    labelNames: ["method", "route", "status"],
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });

  #databaseSeconds = new Histogram({
    name: "tidemark_database_duration_seconds",
    help: "Time that a pipeline request spent in its database transaction or waiting for it.",
    labelNames: ["command"],
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });

  #operations = new Counter({
    name: "tidemark_sync_operations_total",
    help: "Operations of acknowledged syncs, including stale and failed ones, by outcome.",
    labelNames: ["outcome"],
    registers: [this.registry],
  });

  #searchSeconds = new Histogram({
    name: "tidemark_search_duration_seconds",
    help: "Search time including the embedding of the query, by mode; excludes searches with after_sync.",
    labelNames: ["mode"],
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });

  #searches = new Counter({
    name: "tidemark_searches_total",
    help: "Answered searches, by mode.",
    labelNames: ["mode"],
    registers: [this.registry],
  });

  #searchWarnings = new Counter({
    name: "tidemark_search_warnings_total",
    help: "Searches whose answer has a warning, such as one about an unreachable embeddings endpoint.",
    registers: [this.registry],
  });

  constructor(commands: Commands, bytesInFlight: () => number, indexProgress: IndexProgress) {
    collectDefaultMetrics({ register: this.registry });
    new Gauge({
      name: "tidemark_records",
      help: "Live records of all stores.",
      registers: [this.registry],
      async collect() {
        // While the database is unreachable, the other metrics must still be served.
        this.set(await commands.countRecords().catch(() => Number.NaN));
      },
    });
    new Gauge({
      name: "tidemark_bytes_in_flight",
      help: "Bytes of request bodies that the server currently holds.",
      registers: [this.registry],
      collect() {
        this.set(bytesInFlight());
      },
    });
    const gaugeOfProgress = (name: string, help: string, pick: (lag: IndexLag) => number) =>
      new Gauge({
        name,
        help,
        registers: [this.registry],
        async collect() {
          this.set(await indexProgress.read().then(pick, () => Number.NaN));
        },
      });
    gaugeOfProgress(
      "tidemark_index_pending",
      "Contents of all stores that wait to be indexed.",
      ({ pending }) => pending,
    );
    gaugeOfProgress(
      "tidemark_index_failed",
      "Contents of all stores that could not be indexed and wait for an operator to retry them.",
      ({ failed }) => failed,
    );
    gaugeOfProgress(
      "tidemark_index_lag_seconds",
      "Age of the oldest content that waits to be indexed; 0 if none waits.",
      ({ lagMs }) => lagMs / 1000,
    );
  }

  observe(app: FastifyInstance): void {
    app.addHook("onResponse", async (request, reply) => {
      const route = request.routeOptions.url ?? "none";
      this.#requestSeconds.observe(
        { method: request.method, route, status: reply.statusCode },
        reply.elapsedTime / 1000,
      );
    });
  }

  noteSync({ databaseMs, changes, results }: SyncAnswer): void {
    this.noteDatabase("sync", databaseMs);
    for (const [outcome, count] of Object.entries(changes)) {
      if (count > 0) this.#operations.inc({ outcome }, count);
    }
    if (results.failed > 0) this.#operations.inc({ outcome: "failed" }, results.failed);
  }

  /** @param ms null if the search may have waited for a sync */
  noteSearch({ mode, warnings }: SearchResponse, ms: number | null): void {
    this.#searches.inc({ mode });
    if (warnings) this.#searchWarnings.inc();
    if (ms !== null) this.#searchSeconds.observe({ mode }, ms / 1000);
  }

  noteDatabase(command: string, ms: number): void {
    this.#databaseSeconds.observe({ command }, ms / 1000);
  }
}
