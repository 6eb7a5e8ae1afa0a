import { hash } from "node:crypto";
import { parseJson } from "@tidemark/protocol/parse-json";
import { type Embedder, EmbedderUnavailable, TextRefused } from "../embedding/embedder.ts";
import type { EndpointPause } from "../embedding/endpoint-pause.ts";
import { buildSegment, type SegmentBlock } from "../lexical/segment.ts";
import type { Build, Mark, NewVector, PutOff, RecordVersion } from "../storage/index-port.ts";
import type { Storage } from "../storage/port.ts";
import { passagesOf } from "../text/record-text.ts";
import { analyzerFor } from "../text/tokens.ts";
import { type EmbeddingSettings, fits, settingsOf } from "./build-settings.ts";
import { putOff } from "./put-off.ts";

/** A batch is closed when it has so many passages, so that its transaction stays short. */
const PASSAGES_PER_BATCH = 600;

/** Records with everything that search needs of them, ready to be published. */
export interface Prepared {
  /** The marks that this settles. */
  marks: RecordVersion[];
  /** Versions among them that had no content. */
  empty: number[];
  builds: PreparedBuild[];
  /** Marks that have to wait, because they failed, or because the batch was full. */
  putOff: PutOff[];
  /** Why the embeddings endpoint cannot be used now; null if it can. */
  unavailable: string | null;
}

/** What a batch adds to one build. */
export interface PreparedBuild {
  build: number;
  /** As the build had them. */
  settings: string;
  chunks: PreparedChunk[];
  /** The segment of these chunks, whose positions in it are those in the list. */
  blocks: SegmentBlock[];
  /** Vectors that had to be made. */
  vectors: NewVector[];
}

export interface PreparedChunk extends RecordVersion {
  ordinal: number;
  text: string;
  terms: number;
  /** Of the text that its vector stands for; null if the build has no vectors, or the passage no text. */
  hash: string | null;
}

interface Draft extends PreparedChunk {
  words: string[];
}

export interface PrepareContext {
  storage: Storage;
  embedder: Embedder | null;
  pause: EndpointPause;
  /** ms since 1970. */
  now: () => number;
}

/**
 * Reads what marked contents say, splits it into passages, and has those embedded that never were. Changes nothing, so it
 * may take as long as it takes: {@link publish} looks again.
 * @param refused what becomes of a passage that the embedder refuses: its record fails, or it has no vector
 */
export async function prepare(
  context: PrepareContext,
  storeId: string,
  marks: Mark[],
  builds: Build[],
  refused: "fails" | "has no vector" = "fails",
): Promise<Prepared> {
  const { storage } = context;
  const contents = await storage.index.contents(
    storeId,
    marks.map(({ version }) => version),
  );
  const put: PutOff[] = [];
  const drafts = new Map(builds.map(({ build }) => [build, [] as Draft[]]));
  const analyzers = new Map(
    await Promise.all(
      builds.map(async (build) => [build.build, await analyzerFor(settingsOf(build).text.language)] as const),
    ),
  );
  const taken: Mark[] = [];
  let passages = 0;
  for (const mark of marks) {
    // A record's versions stay together.
    const isSameRecord = mark.id === taken.at(-1)?.id && mark.namespace === taken.at(-1)?.namespace;
    if (passages >= PASSAGES_PER_BATCH && !isSameRecord) {
      put.push({ version: mark.version, attempts: mark.attempts, error: null, dueAt: 0 });
      continue;
    }
    taken.push(mark);
    const content = contents.get(mark.version);
    if (content === undefined) continue;
    const { data } = parseJson(content) as { data: Record<string, unknown> };
    for (const build of builds) {
      const analyze = analyzers.get(build.build)!;
      const { namespace, id, version } = mark;
      for (const [ordinal, { text, words }] of passagesOf(data, settingsOf(build).text).entries()) {
        const terms = analyze(words ? `${text}\n${words}` : text);
        // No endpoint takes an empty text: a record of numbers alone is found by its words.
        const embedded = build.space === null || text === "" ? null : textHash(context.embedder, text);
        drafts
          .get(build.build)!
          .push({ namespace, id, version, ordinal, text, terms: terms.length, hash: embedded, words: terms });
        passages++;
      }
    }
  }

  const vectors = new Map<number, NewVector[]>();
  const blocked = new Map<number, string | null>();
  let unavailable: string | null = null;
  for (const build of builds) {
    if (build.space === null) continue;
    if (isOutgoing(build, builds, context.embedder)) {
      for (const draft of drafts.get(build.build)!) draft.hash = null;
      continue;
    }
    const made = await embedMissing(context, storeId, build, drafts.get(build.build)!, refused);
    vectors.set(build.build, made.vectors);
    for (const [version, reason] of made.blocked) blocked.set(version, reason);
    unavailable ??= made.unavailable;
  }
  for (const { version, attempts } of taken) {
    if (!blocked.has(version)) continue;
    put.push(putOff({ version, attempts }, blocked.get(version) ?? null, context.now(), context.pause.until));
  }
  return {
    marks: taken
      .filter(({ version }) => !blocked.has(version))
      .map(({ namespace, id, version }) => ({ namespace, id, version })),
    empty: taken.flatMap(({ version }) => (contents.has(version) ? [] : [version])),
    builds: builds.map(({ build, settings }) => {
      const ready = drafts.get(build)!.filter(({ version }) => !blocked.has(version));
      return {
        build,
        settings,
        chunks: ready.map(({ words, ...chunk }) => chunk),
        blocks: buildSegment(ready.map(({ words }) => words)),
        vectors: vectors.get(build) ?? [],
      };
    }),
    putOff: put,
    unavailable,
  };
}

/** A build that one of the configured model is about to replace: it gets no more vectors, so that it can go on serving. */
function isOutgoing(build: Build, builds: Build[], embedder: Embedder | null): boolean {
  const modelOf = (of: Build) => settingsOf(of).embeddings?.model;
  return (
    modelOf(build) !== embedder?.model &&
    builds.some((other) => other.state === "building" && modelOf(other) === embedder?.model)
  );
}

/** Null: there is none for the text. */
type Embedding = Float32Array | null;

interface Embedded {
  vectors: NewVector[];
  /** Versions that cannot be published now, and why: null where only the endpoint is to blame. */
  blocked: Map<number, string | null>;
  unavailable: string | null;
}

/** Has those passages embedded whose text has no vector yet. */
async function embedMissing(
  { storage, embedder, pause, now }: PrepareContext,
  storeId: string,
  build: Build,
  drafts: Draft[],
  refused: "fails" | "has no vector",
): Promise<Embedded> {
  const byHash = Map.groupBy(
    drafts.filter(({ hash }) => hash !== null),
    ({ hash }) => hash!,
  );
  const known = await storage.index.findVectors(storeId, build.space!, [...byHash.keys()]);
  const missing = [...byHash.keys()].filter((key) => !known.has(key));
  const blocked = new Map<number, string | null>();
  if (missing.length === 0) return { vectors: [], blocked, unavailable: null };
  const block = (key: string, reason: string | null) => {
    for (const { version } of byHash.get(key)!)
      if (blocked.get(version) == null) blocked.set(version, reason);
  };
  const settings = settingsOf(build).embeddings!;
  if (embedder?.model !== settings.model) {
    for (const key of missing) block(key, null);
    const unavailable = `The index has vectors of ${settings.model}, which this server has no endpoint for.`;
    return { vectors: [], blocked, unavailable };
  }
  if (pause.until > now()) {
    for (const key of missing) block(key, null);
    return { vectors: [], blocked, unavailable: pause.reason };
  }
  const texts = missing.map((key) => byHash.get(key)![0]!.text);
  let embedded: Embedding[];
  let unavailable: string | null = null;
  let refusals: ReadonlyMap<number, string> = new Map();
  try {
    embedded = await embedder.embed(texts, { purpose: "passage" });
    if (!embedded.every((vector) => vector && fits(vector, settings))) throw misfit(embedded, settings);
    pause.worked();
  } catch (error) {
    // What was embedded nevertheless is kept: nobody pays for it twice.
    if (error instanceof TextRefused) {
      refusals = error.refusals;
    } else if (error instanceof EmbedderUnavailable) {
      pause.failed(error, now());
      unavailable = error.message;
    } else throw error;
    embedded = error.embedded.map((vector) => (vector && fits(vector, settings) ? vector : null));
  }
  const vectors: NewVector[] = [];
  for (const [index, key] of missing.entries()) {
    const embedding = embedded[index];
    if (embedding) vectors.push({ hash: key, embedding });
    else if (refused === "has no vector" && refusals.has(index)) {
      for (const draft of byHash.get(key)!) draft.hash = null;
    } else block(key, refusals.get(index) ?? null);
  }
  return { vectors, blocked, unavailable };
}

/** An embedder may have begun to give other vectors, or to give them to a process that has seen none before. */
function misfit(embedded: Embedding[], { model, dimensions }: EmbeddingSettings): EmbedderUnavailable {
  const given = embedded.find((vector) => vector?.length !== dimensions)?.length;
  return new EmbedderUnavailable(
    `The index has vectors of ${model} with ${dimensions} dimensions, and the endpoint gives ${given}.`,
    null,
    embedded,
  );
}

/** What a vector is kept by: the same text, embedded the same way, has the same. */
const textHash = (embedder: Embedder | null, text: string) =>
  hash("sha256", `${embedder?.fingerprint ?? ""}\n${text}`, "hex");
