import {
  BATCH_LIMITS,
  isFullFor,
  type OperationBatch,
  operationBytes,
} from "@tidemark/protocol/operation-batch";
import type { SourceRecord, SourceRecords } from "./record.ts";

/** How records are cut into requests. */
export interface BatchSize {
  /** Records of a request at most. Default: 5000, which is the server's limit. */
  batchOperations?: number | undefined;
  /** Bytes of a request's records at most, UTF-8. Default: 8 MiB; the server takes 64 MiB. */
  batchBytes?: number | undefined;
}

/** The operations of one request, each as JSON. */
export type Batch = string[];

/**
 * Cuts records into batches by count and by bytes, and by nothing else: the same records give the same batches, which
 * is what makes sending them again harmless. A record that is larger than a batch is a batch of its own.
 *
 * @param fallback the namespace of records that name none
 * @param note told of each record; what it returns is awaited before the record's batch is handed on
 */
export async function* cutBatches(
  records: SourceRecords,
  fallback: string | undefined,
  { batchOperations = BATCH_LIMITS.operations, batchBytes = BATCH_LIMITS.bytes }: BatchSize,
  note?: (record: SourceRecord, namespace: string) => unknown,
): AsyncGenerator<Batch, void> {
  const limits = { operations: batchOperations, bytes: batchBytes };
  let batch: OperationBatch = { operations: [], bytes: 0 };
  let noted: unknown[] = [];
  for await (const record of records) {
    const { action = "upsert", namespace = fallback } = record;
    const operation = JSON.stringify({ ...record, action, namespace });
    const bytes = operationBytes(operation);
    if (isFullFor(batch, limits, bytes)) {
      await Promise.all(noted);
      yield batch.operations;
      batch = { operations: [], bytes: 0 };
      noted = [];
    }
    batch.operations.push(operation);
    batch.bytes += bytes;
    noted.push(note?.(record, namespace!));
  }
  await Promise.all(noted);
  if (batch.operations.length > 0) yield batch.operations;
}

/** Gets each item while the one before is worked on. */
export async function* oneAhead<T>(source: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
  let next = source.next();
  try {
    for (;;) {
      const { done, value } = await next;
      if (done) return;
      next = source.next();
      // It is awaited in the next round; until then it must not count as unhandled.
      next.catch(() => {});
      yield value;
    }
  } finally {
    // Not awaited: a source that hangs would hold the error up.
    source.return().catch(() => {});
  }
}
