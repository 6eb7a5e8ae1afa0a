/** A field of one of a request's operations. */
export interface OperationField {
  /** The operation's, from 0 on. */
  index: number;
  /** Its path in the operation, such as `data.title`; empty: the operation itself. */
  field: string;
}

/**
 * The operation that an error's `field` names, as `operations[17].data.title`; undefined if it is of the whole request.
 */
export function operationField(path: string): OperationField | undefined {
  const [, index, field] = /^operations\[(\d+)\]\.?(.*)$/s.exec(path) ?? [];
  return index === undefined ? undefined : { index: Number(index), field: field! };
}
