/** The limits of a request. */
export interface BatchLimits {
  /** Operations of a request at most. */
  operations: number;
  /** UTF-8 bytes of its operations at most; a larger operation is sent alone. */
  bytes: number;
}

/** A client's defaults: as many operations as the server accepts, and an eighth of the bytes. */
export const BATCH_LIMITS: BatchLimits = { operations: 5000, bytes: 8 * 1024 * 1024 };

const encoder = new TextEncoder();

/** The UTF-8 bytes of an operation in a request, with the comma after it. */
export const operationBytes = (operation: string): number => encoder.encode(operation).length + 1;

/** The operations collected for one request, each as JSON. */
export interface OperationBatch {
  operations: string[];
  bytes: number;
}

/** Whether an operation of `more` bytes must go into the next request. */
export const isFullFor = (
  { operations: { length }, bytes }: OperationBatch,
  limits: BatchLimits,
  more: number,
): boolean => length > 0 && (length >= limits.operations || bytes + more > limits.bytes);
