/** A field of an operation of a request. */
export interface OperationField {
  /** The operation's position, from 0. */
  index: number;
  /** The path in the operation, such as `data.title`; empty for the operation itself. */
  field: string;
}

/** Reads an error's `field`, such as `operations[17].data.title`; undefined if it names no operation. */
export function operationField(path: string): OperationField | undefined {
  const [, index, field] = /^operations\[(\d+)\]\.?(.*)$/s.exec(path) ?? [];
  return index === undefined ? undefined : { index: Number(index), field: field! };
}
