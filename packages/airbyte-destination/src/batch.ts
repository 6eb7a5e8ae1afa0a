/** How large a request may get. */
export interface BatchLimits {
  operations: number;
  /** Of the operations, UTF-8. */
  bytes: number;
}

/** Operations that wait to be sent in one request, each as JSON. */
export class Batch {
  operations: string[] = [];
  bytes = 0;
  /** The number of the message that brought the first of them; Infinity if there are none. */
  since = Number.POSITIVE_INFINITY;
  #limits: BatchLimits;

  constructor(limits: BatchLimits) {
    this.#limits = limits;
  }

  /** Whether the batch has to be sent before an operation of so many bytes can be added. */
  isFullFor(size: number): boolean {
    const { operations, bytes } = this.#limits;
    if (this.operations.length === 0) return false;
    return this.operations.length >= operations || this.bytes + size > bytes;
  }

  add(operation: string, size: number, messageNumber: number): void {
    this.operations.push(operation);
    this.bytes += size;
    this.since = Math.min(this.since, messageNumber);
  }

  clear(): void {
    this.operations = [];
    this.bytes = 0;
    this.since = Number.POSITIVE_INFINITY;
  }
}
