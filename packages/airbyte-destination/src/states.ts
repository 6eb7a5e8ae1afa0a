import { rawNumber } from "./exact-json.ts";
import { type Emit, type StateMessage, stateWithStats } from "./messages.ts";

interface WaitingState {
  messageNumber: number;
  line: string;
  recordCount: number;
}

/** Emits states in order, each when everything before it is durable. */
export class States {
  /** The characters of the waiting states. */
  size = 0;
  #waiting: WaitingState[] = [];
  #emit: Emit;
  /** How many records each stream had since its last state. */
  #records = new Map<string, number>();

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  countRecord(stream: string): void {
    this.#records.set(stream, (this.#records.get(stream) ?? 0) + 1);
  }

  /** @param stream of a state of type STREAM; other states belong to all streams */
  add(line: string, messageNumber: number, { type }: StateMessage, stream: string): void {
    let recordCount = 0;
    if (type === "STREAM") {
      recordCount = this.#records.get(stream) ?? 0;
      this.#records.delete(stream);
    } else {
      for (const count of this.#records.values()) recordCount += count;
      this.#records.clear();
    }
    this.#waiting.push({ messageNumber, line, recordCount });
    this.size += line.length;
  }

  /** Emits the states that arrived before a message. */
  release(before: number): void {
    let released = 0;
    for (const { messageNumber, line, recordCount } of this.#waiting) {
      if (messageNumber >= before) break;
      // The protocol declares the count a decimal number.
      this.#emit(stateWithStats(line, rawNumber(`${recordCount}.0`)));
      this.size -= line.length;
      released++;
    }
    this.#waiting.splice(0, released);
  }
}
