/** Identifies a record within its store. */
export interface RecordKey {
  namespace: string;
  id: string;
}

/** A record's key as one text: two records have the same text only if they have the same namespace and id. */
export const recordKey = ({ namespace, id }: RecordKey): string => `${namespace.length} ${namespace}${id}`;

/** Whether two keys name the same record, or both are missing. */
export const isSameRecord = (a?: RecordKey | null, b?: RecordKey | null): boolean =>
  a?.id === b?.id && a?.namespace === b?.namespace;
