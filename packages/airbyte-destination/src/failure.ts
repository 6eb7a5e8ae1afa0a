/** Who can fix a failure: the user, a later attempt, or the maintainers. */
export type FailureType = "config_error" | "transient_error" | "system_error";

/** The protocol's name of a stream. */
export interface StreamDescriptor {
  name: string;
  namespace?: string;
}

/** A failure whose message Airbyte shows to its user. */
export class DestinationError extends Error {
  override readonly name = "DestinationError";
  readonly failureType: FailureType;
  readonly stream: StreamDescriptor | undefined;

  constructor(failureType: FailureType, message: string, cause?: unknown, stream?: StreamDescriptor) {
    super(message, { cause });
    this.failureType = failureType;
    this.stream = stream;
  }
}

/** A failure that the user can fix. */
export const configError = (message: string, cause?: unknown, stream?: StreamDescriptor) =>
  new DestinationError("config_error", message, cause, stream);
