/**
 * Adds the `_sdc_` columns of https://sdk.meltano.com/en/latest/implementation/record_metadata.html, in place.
 * It keeps the tap's `_sdc_deleted_at`.
 */
export function addMetadata(
  data: Record<string, unknown>,
  { timeExtracted, version }: { timeExtracted: string | undefined; version: string | undefined },
  now: Date,
): void {
  const received = now.toISOString();
  data._sdc_extracted_at = timeExtracted ?? null;
  data._sdc_received_at = received;
  data._sdc_batched_at = received;
  data._sdc_deleted_at ??= null;
  data._sdc_sequence = now.getTime();
  data._sdc_table_version = Number.isSafeInteger(Number(version ?? Number.NaN))
    ? Number(version)
    : (version ?? null);
}
