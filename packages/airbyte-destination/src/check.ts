import { readConfig } from "./config.ts";
import { connect } from "./connection.ts";
import { explain } from "./explain.ts";
import { type Emit, logTo } from "./messages.ts";

/** Few attempts, because a person waits for the result. */
const ATTEMPTS = 3;

/** Emits whether a configuration works: the protocol's `check`. */
export async function check(config: unknown, emit: Emit): Promise<void> {
  const status = (status: "SUCCEEDED" | "FAILED", message?: string) =>
    emit({ type: "CONNECTION_STATUS", connectionStatus: message ? { status, message } : { status } });
  try {
    await connect(readConfig(config), ATTEMPTS, logTo(emit)).validate();
  } catch (error) {
    status("FAILED", explain(error).message);
    return;
  }
  status("SUCCEEDED");
}
