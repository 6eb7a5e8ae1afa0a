import {
  BATCH_LIMITS,
  isFullFor,
  type OperationBatch,
  operationBytes,
} from "@tidemark/protocol/operation-batch";
import type { SourceRecord, SourceRecords } from "./record.ts";

/** The size of a request. */
export interface BatchSize {
  /** Records of a request at most. Default: 5000, the server's limit. */
  batchOperations?: number | undefined;
  /** UTF-8 bytes of a request's records at most. Default: 8 MiB; the server accepts 64 MiB. */
  batchBytes?: number | undefined;
}

/** The operations of one request, each as JSON. */
export type Batch = string[];

/**
 * Divides records into batches by count and bytes only, so that the same records give the same batches and sending them
 * again is harmless. A record that is larger than a batch is a batch of its own.
 *
 * @param fallback the namespace of records that name none
 * @param note called with each record; the batch is yielded after the promises that it returned
 */
export async function* toBatches(
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

/** Reads the next item while the caller works on the current one. */
export async function* oneAhead<T>(source: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
  let next = source.next();
  try {
    for (;;) {
      const { done, value } = await next;
      if (done) return;
      next = source.next();
      // The next round awaits it; until then, a rejection must not count as unhandled.
      next.catch(() => {});
      yield value;
    }
  } finally {
    // Not awaited, because a source that hangs would delay the error.
    source.return().catch(() => {});
  }
}
