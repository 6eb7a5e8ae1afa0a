import { configError, DestinationError, type StreamDescriptor } from "./failure.ts";
import { namespaceOf } from "./namespace-name.ts";
import { idOfContent, idOfKey, type Key, valueAt } from "./record-id.ts";

/** A stream of the sync, and how it is kept. */
export interface Stream {
  descriptor: StreamDescriptor;
  /** Its name for people: `public.users`. */
  title: string;
  /** Its namespace in the store. */
  namespace: string;
  /** The fields of its primary key; undefined if it has none. */
  key: Key | undefined;
  /** Whether a key of one field is declared to be a text. */
  keyIsText: boolean;
  /** Whether it is replaced as a whole, when it is complete. */
  refresh: boolean;
  /** The generation that a refresh belongs to; undefined if the platform counts none, so that it cannot be resumed. */
  generation: number | undefined;
}

/** A configured stream as Airbyte has it, as far as it is of interest. */
interface ConfiguredStream {
  stream: {
    name: string;
    namespace?: string | null;
    json_schema?: unknown;
    source_defined_primary_key?: Key | null;
  };
  destination_sync_mode: string;
  primary_key?: Key | null;
  generation_id?: number | null;
  minimum_generation_id?: number | null;
}

const MODES = ["append", "append_dedup", "overwrite", "overwrite_dedup"];

/** What tells streams apart, as a text. */
export const streamKey = ({ name, namespace }: { name: string; namespace?: string | null }): string =>
  namespaceOf(descriptorOf(name, namespace));

function descriptorOf(name: string, namespace: string | null | undefined): StreamDescriptor {
  return namespace ? { name, namespace } : { name };
}

/** Reads a ConfiguredAirbyteCatalog. @throws DestinationError config_error, system_error */
export function readCatalog(value: unknown): Stream[] {
  const { streams } = Object(value) as { streams?: unknown };
  if (!Array.isArray(streams)) throw new DestinationError("system_error", "The catalog has no streams.");
  const read = (streams as ConfiguredStream[]).map(readStream);
  const named = new Set<string>();
  for (const { namespace, title, descriptor } of read) {
    if (named.has(namespace))
      throw configError(`The stream ${title} is in the catalog twice.`, undefined, descriptor);
    named.add(namespace);
  }
  return read;
}

function readStream(configured: ConfiguredStream): Stream {
  const { stream, destination_sync_mode: mode } = Object(configured) as ConfiguredStream;
  if (typeof stream?.name !== "string" || stream.name === "") {
    throw new DestinationError("system_error", "The catalog has a stream without a name.");
  }
  const descriptor = descriptorOf(stream.name, stream.namespace);
  const title = [descriptor.namespace ?? [], descriptor.name].flat().join(".");
  if (!MODES.includes(mode)) {
    throw configError(`The stream ${title} has a sync mode that this destination does not have: ${mode}.`);
  }
  const key = [configured.primary_key, stream.source_defined_primary_key].find((key) => key?.length);
  if (mode.endsWith("_dedup") && !key) {
    throw configError(
      `The stream ${title} is to be deduplicated, but has no primary key.`,
      undefined,
      descriptor,
    );
  }
  const minimum = configured.minimum_generation_id ?? 0;
  return {
    descriptor,
    title,
    namespace: namespaceOf(descriptor),
    key: key ?? undefined,
    keyIsText: key?.length === 1 && isDeclaredText(stream.json_schema, key[0]!),
    // Airbyte's refreshes of incremental streams are appending ones that forget older generations.
    refresh: minimum > 0 || mode.startsWith("overwrite"),
    generation: minimum > 0 ? minimum : undefined,
  };
}

/** Whether a schema says that a field is a text and nothing else. */
function isDeclaredText(schema: unknown, path: string[]): boolean {
  const declared = valueAt(
    schema,
    path.flatMap((step) => ["properties", step]),
  );
  const types = [valueAt(declared, ["type"])].flat().filter((type) => type !== "null");
  return types.length === 1 && types[0] === "string";
}

/** The id of a record of a stream. @param data as it was read, and as it is kept */
export function recordId({ key, keyIsText }: Stream, data: { read: unknown; kept: unknown }): string {
  const values = key?.map((path) => valueAt(data.read, path));
  return (values && idOfKey(values, keyIsText)) ?? idOfContent(data.kept);
}
