import { rawNumber } from "./exact-json.ts";
import { type Emit, type StateMessage, stateWithStats } from "./messages.ts";

interface WaitingState {
  messageNumber: number;
  line: string;
  recordCount: number;
}

/** The states that wait until all that came before them is durable. They leave in the order in which they came. */
export class States {
  /** Characters of the states that wait. */
  size = 0;
  #waiting: WaitingState[] = [];
  #emit: Emit;
  /** Records of each stream since its last state. */
  #records = new Map<string, number>();

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  countRecord(stream: string): void {
    this.#records.set(stream, (this.#records.get(stream) ?? 0) + 1);
  }

  /** @param stream the stream of a state of one; undefined: the state is of all */
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

  /** Lets the states go that came before a message. */
  release(before: number): void {
    let released = 0;
    for (const { messageNumber, line, recordCount } of this.#waiting) {
      if (messageNumber >= before) break;
      // With a decimal point, as the protocol asks.
      this.#emit(stateWithStats(line, rawNumber(`${recordCount}.0`)));
      this.size -= line.length;
      released++;
    }
    this.#waiting.splice(0, released);
  }
}
