import { Tidemark, TidemarkError } from "@tidemark/client";
import { isName } from "@tidemark/protocol/keepable-text";
import { RunClock } from "./clock.ts";
import { approximate } from "./exact-json.ts";
import { asTargetError, EXIT, FieldError, type Place, placed, TargetError } from "./failure.ts";
import { makeKeepable } from "./keepable.ts";
import { type Message, readMessage } from "./messages.ts";
import { addMetadata } from "./metadata.ts";
import { hashed, recordId } from "./record-id.ts";
import { type CheckRecord, SchemaCompiler } from "./schema.ts";
import { removalLimitOf, type Settings } from "./settings.ts";
import { type TableVersion, Versions } from "./versions.ts";
import { Writer } from "./writer.ts";

type Of<Type extends Message["type"]> = Extract<Message, { type: Type }>;

/** A stream of the tap. */
interface Stream {
  name: string;
  namespace: string;
  /** The last SCHEMA; missing if only an ACTIVATE_VERSION has come. */
  keyProperties: string[] | undefined;
  schemaText: string;
  check: CheckRecord | undefined;
  table: TableVersion | undefined;
  /** A version that is older than the table's. */
  older: string | undefined;
  /** Whether records were written since the clock last advanced. */
  wrote: boolean;
}

/** The target's outputs. */
export interface Output {
  /** Prints a STATE exactly as the tap wrote it. */
  emit(state: string): Promise<void>;
  warn(message: string): void;
}

/** Writes the messages of a tap to a store. */
export class Target {
  readonly writer: Writer;
  /** Records that ACTIVATE_VERSION messages removed. */
  cleared = 0;
  #settings: Settings;
  #output: Output;
  #tidemark: Tidemark;
  #clock = new RunClock();
  #versions: Versions;
  #schemas = new SchemaCompiler();
  #streams = new Map<string, Stream>();
  #warned = new Set<string>();

  constructor(settings: Settings, output: Output) {
    this.#settings = settings;
    this.#output = output;
    this.#tidemark = new Tidemark({
      url: settings.url,
      apiKey: settings.api_key,
      organizationId: settings.organization_id,
      vectorStoreId: settings.vector_store_id,
      retry: { attempts: settings.retries + 1 },
    });
    this.#versions = new Versions(this.#tidemark, this.#clock, removalLimitOf(settings));
    this.writer = new Writer({
      tidemark: this.#tidemark,
      clock: this.#clock,
      batch: { operations: settings.batch_size_rows, bytes: settings.batch_size_bytes },
      waitMs: settings.batch_wait_limit_seconds * 1000,
      ...output,
    });
  }

  /** Checks that key, organization and store fit together, and reads the server's time. @throws TargetError */
  async connect(): Promise<void> {
    try {
      const { timestamp } = await this.#tidemark.validate();
      const [last] = (await this.#tidemark.listSyncs({ limit: 1 })).data;
      this.#clock.follow(timestamp, last?.sync_timestamp);
    } catch (error) {
      throw asTargetError(error);
    }
  }

  /** Handles one line of the tap. @throws TargetError that names stream, line and field */
  async take(text: string, line: number): Promise<void> {
    const message = readMessage(text, line);
    const place: Place = { line, ...("stream" in message && { stream: message.stream }) };
    try {
      if (message.type === "SCHEMA") this.#takeSchema(message);
      else if (message.type === "RECORD") await this.#takeRecord(message, place);
      else if (message.type === "STATE") await this.#takeState(message);
      else await this.#takeActivateVersion(message);
    } catch (error) {
      throw asTargetError(error, place);
    }
  }

  /**
   * Ends the input: writes everything that is left, and emits its STATEs.
   * @throws TargetError
   */
  async finish(): Promise<void> {
    for (const stream of this.#streams.values()) {
      const { table } = stream;
      // Without a STATE at the end, the tap may have failed in the middle of the table.
      if (!table?.announced || !table.settled || !table.replaces || table.applied) continue;
      try {
        await this.#activate(stream, table);
      } catch (error) {
        throw asTargetError(error, { stream: stream.name });
      }
    }
    await this.writer.flush();
    await this.#markVersions();
  }

  #takeSchema({ stream: name, schema, keyProperties }: Of<"SCHEMA">): void {
    const stream = this.#stream(name);
    const schemaText = JSON.stringify([schema, keyProperties]);
    if (schemaText === stream.schemaText) return;
    const { properties } = schema;
    if (typeof properties !== "object" || properties === null) {
      throw new FieldError('The schema has no "properties".', undefined);
    }
    const unknown = keyProperties.find((key) => !Object.hasOwn(properties, key));
    if (unknown !== undefined) throw new FieldError("The schema lacks this key property.", unknown);
    stream.check = this.#settings.validate_records ? this.#compile(schema) : undefined;
    stream.keyProperties = keyProperties;
    stream.schemaText = schemaText;
  }

  #compile(schema: Record<string, unknown>): CheckRecord {
    try {
      return this.#schemas.compile(schema);
    } catch (error) {
      const hint = "Set validate_records to false to skip validation.";
      throw new FieldError(`The schema cannot be used: ${(error as Error).message}. ${hint}`, undefined);
    }
  }

  async #takeRecord(message: Of<"RECORD">, place: Place): Promise<void> {
    const { hard_delete, inexact_numbers, replace_invalid_text, add_record_metadata } = this.#settings;
    const stream = this.#streams.get(message.stream);
    if (!stream?.keyProperties) throw new FieldError("A RECORD came before its SCHEMA.", undefined);
    const table = message.version && (await this.#enterVersion(stream, message.version));
    if (table) table.hasRecords = true;
    if (stream.table) stream.table.settled = false;

    const { record, inexact } = message;
    const id = recordId(record, stream.keyProperties);
    const { namespace } = stream;
    stream.wrote = true;
    // A tap that reads a log knows only the key of a deleted record, so the schema is not checked.
    const deletedAt = record._sdc_deleted_at;
    if (hard_delete && deletedAt !== undefined && deletedAt !== null) {
      return this.writer.add(JSON.stringify({ action: "delete", id, namespace }), place);
    }
    const misfit = stream.check?.(inexact ? approximate(record) : record);
    if (misfit) throw new FieldError(misfit.message, misfit.field);
    const keeping = { replaceText: replace_invalid_text, inexactAsText: inexact_numbers === "text" };
    const data = makeKeepable(record, keeping, (field) => this.#warnReplaced(stream.name, field));
    if (add_record_metadata) addMetadata(data, message, new Date());
    const source_system = this.#settings.source_system || undefined;
    return this.writer.add(JSON.stringify({ action: "upsert", id, namespace, data, source_system }), place);
  }

  async #takeState({ value }: Of<"STATE">): Promise<void> {
    // A later run may continue from this STATE, and must know when the version began.
    await this.#markVersions();
    for (const { table } of this.#streams.values()) if (table) table.settled = true;
    await this.writer.addState(value);
  }

  async #markVersions(): Promise<void> {
    for (const { namespace, table } of this.#streams.values()) {
      if (table?.hasRecords || table?.announced) await this.#versions.mark(namespace, table);
    }
  }

  async #takeActivateVersion({ stream: name, version }: Of<"ACTIVATE_VERSION">): Promise<void> {
    if (!this.#settings.process_activate_version_messages) return;
    const stream = this.#stream(name);
    const table = await this.#enterVersion(stream, version);
    if (!table || table.applied) return;
    if (table.hasRecords) return this.#activate(stream, table);
    table.announced = true;
    table.settled = false;
  }

  /**
   * The version that a message of a stream belongs to.
   * @returns undefined if the version is older than the stream's, or if versions are switched off
   */
  async #enterVersion(stream: Stream, version: string): Promise<TableVersion | undefined> {
    const { name, namespace, table } = stream;
    if (!this.#settings.process_activate_version_messages) return undefined;
    if (table?.version === version) return table;
    if (stream.older === version) return undefined;
    const isLower = table && Number(version) < Number(table.version);
    if (isLower || (await this.#versions.isOlder(namespace, version))) {
      stream.older = version;
      this.#warnOnce(`Stream ${JSON.stringify(name)} went back to an older version, which is ignored.`);
      return undefined;
    }
    if (table && stream.wrote) {
      // Records of the previous version must be older than those that follow. Records without a version stay, because
      // some taps give the version only in ACTIVATE_VERSION.
      await this.writer.flush();
      this.#clock.advance();
      for (const each of this.#streams.values()) each.wrote = false;
    }
    stream.table = await this.#versions.find(namespace, version);
    return stream.table;
  }

  /** Removes the records of all other versions of a table. */
  async #activate(stream: Stream, table: TableVersion): Promise<void> {
    await this.writer.flush();
    let cleared: number | undefined;
    try {
      cleared = await this.#versions.apply(stream.namespace, table);
    } catch (error) {
      if (!(error instanceof TidemarkError && error.is("REMOVAL_LIMIT_EXCEEDED"))) throw error;
      const [lost] = error.details.namespaces;
      throw new TargetError(
        `Version ${table.version} would remove ${lost?.cleared} of ${lost?.records} records, ` +
          "more than removal_limit allows. Nothing was removed.",
        { stream: stream.name },
        EXIT.refused,
        error,
      );
    }
    if (cleared === undefined) {
      this.#warnOnce(
        `A newer sync had already refreshed stream ${JSON.stringify(stream.name)}, so nothing was removed.`,
      );
    } else this.cleared += cleared;
  }

  #stream(name: string): Stream {
    const known = this.#streams.get(name);
    if (known) return known;
    const stream: Stream = {
      name,
      namespace: this.#namespaceOf(name),
      keyProperties: undefined,
      schemaText: "",
      check: undefined,
      table: undefined,
      older: undefined,
      wrote: false,
    };
    this.#streams.set(name, stream);
    return stream;
  }

  /** The stream's name with the prefix, or its hash if the store cannot have that name. */
  #namespaceOf(name: string): string {
    const namespace = this.#settings.namespace_prefix + name;
    return isName(namespace) ? namespace : hashed(namespace);
  }

  #warnReplaced(stream: string, field: string): void {
    const path = field.replaceAll(/\[\d+\]/g, "[]");
    this.#warnOnce(
      placed("U+0000 and unpaired surrogates, which cannot be stored, became U+FFFD.", {
        stream,
        field: path,
      }),
    );
  }

  #warnOnce(message: string): void {
    // Field names may be data, so the memory of a run must not grow with them.
    if (this.#warned.has(message) || this.#warned.size >= 1000) return;
    this.#warned.add(message);
    this.#output.warn(message);
  }
}
