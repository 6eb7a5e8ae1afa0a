import type { Wait } from "@tidemark/client";
import { Presets, SingleBar } from "cli-progress";
import type { RecordFile } from "./read-records.ts";

/** How often a transfer bar is drawn at most: a page takes only a few milliseconds. */
const FRAMES_PER_SECOND = 10;

/** Shows a person at a terminal how far a sync is; shows nothing in a pipe. */
export interface ProgressDisplay {
  /** @param records acknowledged so far */
  show(records: number): void;
  showWait(wait: Wait): void;
  end(): void;
}

const NONE: ProgressDisplay = { show() {}, showWait() {}, end() {} };

/** Starts a bar with the rate and the time left on standard error, if that is a terminal. */
export function showProgress(file: RecordFile): ProgressDisplay {
  if (!process.stderr.isTTY) return NONE;
  const format =
    file.bytes === undefined
      ? "{records} records · {rate}/s · {duration_formatted} {note}"
      : "{bar} {percentage}% · {records} records · {rate}/s · {eta_formatted} left {note}";
  const bar = new SingleBar(
    { format, stream: process.stderr, hideCursor: true, etaBuffer: 50 },
    Presets.shades_classic,
  );
  const started = performance.now();
  bar.start(file.bytes ?? 0, 0, { records: 0, rate: 0, note: "" });
  return {
    show(records) {
      const seconds = (performance.now() - started) / 1000;
      bar.update(file.bytesRead(), {
        records,
        rate: Math.round(records / Math.max(seconds, 0.001)),
        note: "",
      });
    },
    showWait({ reason, delayMs }) {
      const why = reason === "rate_limit" ? "rate limit" : "no answer, retrying";
      bar.update({ note: `(${why}: ${Math.ceil(delayMs / 1000)} s)` });
    },
    end: () => bar.stop(),
  };
}

/** Shows a person at a terminal how far a transfer is; shows nothing in a pipe. */
export interface TransferBar {
  show(done: number, rows: number): void;
  end(): void;
}

/** Starts a bar. @param total 0 if it is unknown @param unit the name of what `rows` counts */
export function startTransferBar(total: number, unit = "rows"): TransferBar {
  if (!process.stderr.isTTY) return { show() {}, end() {} };
  const format =
    total === 0
      ? `{rows} ${unit} · {duration_formatted}`
      : `{bar} {percentage}% · {rows} ${unit} · {eta_formatted} left`;
  const bar = new SingleBar(
    { format, stream: process.stderr, hideCursor: true, fps: FRAMES_PER_SECOND },
    Presets.shades_classic,
  );
  bar.start(total, 0, { rows: 0 });
  return { show: (done, rows) => bar.update(done, { rows }), end: () => bar.stop() };
}
