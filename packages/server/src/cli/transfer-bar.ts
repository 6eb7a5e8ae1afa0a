import { Presets, SingleBar } from "cli-progress";

/** Updates at most so often: a page takes a few milliseconds. */
const FRAMES_PER_SECOND = 10;

/** A bar on standard error for a person at a terminal; in a pipe there is none. */
export interface TransferBar {
  show(done: number, rows: number): void;
  end(): void;
}

/** @param total of what is counted; 0 if it is not known @param unit what the rows are */
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
