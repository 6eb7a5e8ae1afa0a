/** How large a request may get. */
export interface BatchLimits {
  /** Operations of a request at most. */
  operations: number;
  /** UTF-8 bytes of its operations at most; one that is larger is sent alone. */
  bytes: number;
}

/** What a client uses by itself: all operations that the server takes, and an eighth of the bytes. */
export const BATCH_LIMITS: BatchLimits = { operations: 5000, bytes: 8 * 1024 * 1024 };

const encoder = new TextEncoder();

/** The UTF-8 bytes of an operation in a request, with the comma after it. */
export const operationBytes = (operation: string): number => encoder.encode(operation).length + 1;

/** The operations of one request, each as JSON, while they are gathered. */
export interface OperationBatch {
  operations: string[];
  bytes: number;
}

/** Whether an operation of so many bytes must go into another request. */
export const isFullFor = (
  { operations: { length }, bytes }: OperationBatch,
  limits: BatchLimits,
  more: number,
): boolean => length > 0 && (length >= limits.operations || bytes + more > limits.bytes);
