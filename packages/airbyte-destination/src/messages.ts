import { writeSync } from "node:fs";
import { readToPassOn } from "./exact-json.ts";
import { DestinationError, type StreamDescriptor } from "./failure.ts";

/** Writes one message of the protocol. */
export type Emit = (message: { type: string; [member: string]: unknown }) => void;

export type LogLevel = "INFO" | "WARN" | "ERROR";
export type Log = (level: LogLevel, message: string) => void;

/** A message that the destination acts on; it ignores other types, which get the type "". */
export type InputMessage =
  | { type: "RECORD"; record: { stream: string; namespace?: string | null; data: unknown } }
  | { type: "STATE"; state: StateMessage }
  | {
      type: "TRACE";
      trace: {
        type: string;
        stream_status?: { stream_descriptor: StreamDescriptor; status: string };
      };
    }
  | { type: "" };

export interface StateMessage {
  type?: "STREAM" | "GLOBAL" | "LEGACY";
  stream?: { stream_descriptor: StreamDescriptor };
}

/** Checks that a message has the members that its type requires. @param value the JSON of one line */
export function readMessage(value: unknown): InputMessage {
  // biome-ignore lint/suspicious/noExplicitAny: this function finds out the shape
  const message = value as any;
  const { type } = Object(message);
  const isText = (text: unknown) => typeof text === "string";
  if (type === "RECORD") {
    const { stream, data, namespace } = Object(message.record);
    const isObject = typeof data === "object" && data !== null && !Array.isArray(data);
    if (isText(stream) && isObject && (namespace === undefined || namespace === null || isText(namespace))) {
      return message;
    }
  } else if (type === "STATE") {
    const state = Object(message.state);
    const name = state.stream?.stream_descriptor?.name;
    if (message.state && (state.type !== "STREAM" || isText(name))) return message;
  } else if (type === "TRACE" && message.trace?.type === "STREAM_STATUS") {
    const { stream_descriptor, status } = Object(message.trace.stream_status);
    if (isText(stream_descriptor?.name) && isText(status)) return message;
  } else if (isText(type)) return { type: "" };
  const problem = isText(type) ? `: a ${type} with missing or wrong members` : "";
  const text = `The source sent a message that does not follow the Airbyte protocol${problem}.`;
  throw new DestinationError("system_error", text);
}

/** The state message of a line, unchanged but for the number of records since the state before. */
export function stateWithStats(line: string, recordCount: object): { type: string; state: object } {
  const message = readToPassOn(line) as { type: string; state: object };
  return { ...message, state: { ...message.state, destinationStats: { recordCount } } };
}

/** Writes a message to standard output before it returns, so that an emitted state survives a kill. */
export const emitToStdout: Emit = (message) => {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      // The pipe is non-blocking and its reader is slow.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
};

export const logTo =
  (emit: Emit): Log =>
  (level, message) =>
    emit({ type: "LOG", log: { level, message } });
