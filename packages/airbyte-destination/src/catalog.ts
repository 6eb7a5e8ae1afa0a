import { configError, DestinationError, type StreamDescriptor } from "./failure.ts";
import { namespaceOf } from "./namespace-name.ts";
import { idOfContent, idOfKey, type Key, valueAt } from "./record-id.ts";

/** A stream of the sync, and how the destination writes it. */
export interface Stream {
  descriptor: StreamDescriptor;
  /** The name for people: `public.users`. */
  title: string;
  /** The namespace in the vector store. */
  namespace: string;
  /** The primary key; undefined without one. */
  key: Key | undefined;
  /** Whether the key is a single field that the schema declares a string. */
  keyIsString: boolean;
  /** Whether the sync replaces the whole stream once it is complete. */
  refresh: boolean;
  /** The generation of a refresh; undefined if Airbyte sends none, so that no later process can resume the refresh. */
  generation: number | undefined;
}

/** The parts of Airbyte's ConfiguredAirbyteStream that the destination reads. */
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

/** A string that identifies a stream. */
export const streamKey = ({ name, namespace }: { name: string; namespace?: string | null }): string =>
  namespaceOf(descriptorOf(name, namespace));

function descriptorOf(name: string, namespace: string | null | undefined): StreamDescriptor {
  return namespace ? { name, namespace } : { name };
}

/** Reads a ConfiguredAirbyteCatalog. @throws DestinationError config_error, system_error */
export function readCatalog(value: unknown): Stream[] {
  const { streams } = Object(value) as { streams?: unknown };
  if (!Array.isArray(streams)) throw new DestinationError("system_error", "The catalog has no streams.");
  const result = (streams as ConfiguredStream[]).map(readStream);
  const namespaces = new Set<string>();
  for (const { namespace, title, descriptor } of result) {
    if (namespaces.has(namespace)) {
      throw configError(`The catalog has the stream ${title} twice.`, undefined, descriptor);
    }
    namespaces.add(namespace);
  }
  return result;
}

function readStream(configured: ConfiguredStream): Stream {
  const { stream, destination_sync_mode: mode } = Object(configured) as ConfiguredStream;
  if (typeof stream?.name !== "string" || stream.name === "") {
    throw new DestinationError("system_error", "The catalog has a stream without a name.");
  }
  const descriptor = descriptorOf(stream.name, stream.namespace);
  const title = [descriptor.namespace ?? [], descriptor.name].flat().join(".");
  if (!MODES.includes(mode)) {
    throw configError(
      `The stream ${title} has the sync mode ${mode}, which this destination does not support.`,
    );
  }
  const key = [configured.primary_key, stream.source_defined_primary_key].find((key) => key?.length);
  if (mode.endsWith("_dedup") && !key) {
    const message = `The stream ${title} has the sync mode ${mode} but no primary key. Choose a primary key.`;
    throw configError(message, undefined, descriptor);
  }
  const minimum = configured.minimum_generation_id ?? 0;
  return {
    descriptor,
    title,
    namespace: namespaceOf(descriptor),
    key: key ?? undefined,
    keyIsString: key?.length === 1 && isDeclaredString(stream.json_schema, key[0]!),
    // For a refresh of an incremental stream, Airbyte sends append with a minimum generation.
    refresh: minimum > 0 || mode.startsWith("overwrite"),
    generation: minimum > 0 ? minimum : undefined,
  };
}

/** Whether a schema allows only strings, or null, in a field. */
function isDeclaredString(schema: unknown, path: string[]): boolean {
  const declared = valueAt(
    schema,
    path.flatMap((step) => ["properties", step]),
  );
  const types = [valueAt(declared, ["type"])].flat().filter((type) => type !== "null");
  return types.length === 1 && types[0] === "string";
}

/** The id of a record of a stream. @param data as it arrived, and as Tidemark stores it */
export function recordId({ key, keyIsString }: Stream, data: { arrived: unknown; stored: unknown }): string {
  const values = key?.map((path) => valueAt(data.arrived, path));
  return (values && idOfKey(values, keyIsString)) ?? idOfContent(data.stored);
}
