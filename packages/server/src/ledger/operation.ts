import { hash } from "node:crypto";
import { contentText, hashedText } from "@tidemark/protocol/digest";
import type { SyncOperation } from "@tidemark/protocol/sync";

/** One operation, ready to be planned. */
export interface Operation {
  action: "upsert" | "delete";
  namespace: string;
  id: string;
  /** A short hash of the operation's bytes as sent: equal fingerprints mean equal content. Null if unknown. */
  fingerprint: string | null;
  /** An upsert's content. It costs more than the fingerprint, so it is made on first use. */
  content(): Content;
}

export interface Content {
  /** Canonical JSON of the content's members. */
  text: string;
  /** SHA-256 of id and content, hex. */
  hash: string;
}

/** @param sent the operation's bytes as received, if known */
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

/** 128 bits of SHA-256 suffice, because a fingerprint is only compared with the same record's previous one. */
function fingerprintOf(sent: Uint8Array): string {
  return hash("sha256", sent, "base64url").slice(0, 22);
}

function contentOf(operation: SyncOperation): Content {
  const text = contentText(operation);
  return { text, hash: hash("sha256", hashedText(operation.id, text), "hex") };
}
