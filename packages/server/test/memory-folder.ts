import { accessSync, constants } from "node:fs";
import { tmpdir } from "node:os";

/** A folder whose files are in memory, or the usual temporary folder if there is none. */
export function memoryFolder(): string {
  try {
    accessSync("/dev/shm", constants.W_OK);
    return "/dev/shm";
  } catch {
    return tmpdir();
  }
}
