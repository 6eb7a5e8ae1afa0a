import { hash } from "node:crypto";
import { contentText, hashedText } from "@tidemark/protocol/digest";
import type { SyncOperation } from "@tidemark/protocol/sync";

/** One operation, ready to be planned. */
export interface Operation {
  action: "upsert" | "delete";
  namespace: string;
  id: string;
  /** Of the operation's text as it was sent: the same fingerprint means the same content. Null if unknown. */
  fingerprint: string | null;
  /** An upsert's content. It costs more than the fingerprint, so it is made for the operations that need it, once. */
  content(): Content;
}

export interface Content {
  /** Canonical JSON of the content's members. */
  text: string;
  /** SHA-256 of id and content, hex. */
  hash: string;
}

/** @param sent the operation's bytes as they came, if they are known */
export function toOperation(operation: SyncOperation, sent: Uint8Array | undefined): Operation {
  const { action, namespace, id } = operation;
  let content: Content | undefined;
  return {
    action,
    namespace,
    id,
    fingerprint: sent ? fingerprintOf(sent) : null,
    content() {
      content ??= contentOf(operation);
      return content;
    },
  };
}

/** 128 bits of SHA-256: it is only ever compared with the one that the same record had before. */
function fingerprintOf(sent: Uint8Array): string {
  return hash("sha256", sent, "base64url").slice(0, 22);
}

function contentOf(operation: SyncOperation): Content {
  const text = contentText(operation);
  return { text, hash: hash("sha256", hashedText(operation.id, text), "hex") };
}
