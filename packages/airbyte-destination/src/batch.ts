import { type BatchLimits, isFullFor, type OperationBatch } from "@tidemark/protocol/operation-batch";

/** The operations of the next request. */
export class Batch implements OperationBatch {
  operations: string[] = [];
  bytes = 0;
  /** The number of the first operation's message; Infinity without operations. */
  since = Number.POSITIVE_INFINITY;
  #limits: BatchLimits;

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  isFullFor(bytes: number): boolean {
    return isFullFor(this, this.#limits, bytes);
  }

  add(operation: string, bytes: number, messageNumber: number): void {
    this.operations.push(operation);
    this.bytes += bytes;
    this.since = Math.min(this.since, messageNumber);
  }

  clear(): void {
    this.operations = [];
    this.bytes = 0;
    this.since = Number.POSITIVE_INFINITY;
  }
}
