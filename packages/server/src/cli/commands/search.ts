import { LIMITS } from "@tidemark/protocol/limits";
import { parseJson } from "@tidemark/protocol/parse-json";
import type { SearchFilter } from "@tidemark/protocol/search";
import { Command, InvalidArgumentError, Option } from "commander";
import { jsonOption, withServerOptions } from "../options.ts";
import type { SearchOptions } from "../search-store.ts";

/** `tidemark search` */
export function searchCommand(): Command {
  const command = new Command("search")
    .description(
      `search the records of a store, with a reader's key

Prints a row for each record: its rank, namespace, id, score and the matching part of its best chunk.

Exit codes: 0 done; 1 error; 3 the sync of --after-sync is not searchable yet.`,
    )
    .argument("<words...>", "what to search for")
    .option("--limit <number>", `the number of records, 1 to ${LIMITS.searchResults}`, parseLimit)
    .option("--namespace <name>", "search only this namespace; can be repeated", append)
    .option("--filter <json>", 'a condition on the data, such as \'{"status": "open"}\'', parseFilter)
    .addOption(
      new Option(
        "--mode <mode>",
        "how to rank; default: hybrid if the store has embeddings, else lexical",
      ).choices(["hybrid", "lexical", "semantic"]),
    )
    .option("--after-sync <id>", "wait until this sync (sync_…) is searchable")
    .option("--timeout <seconds>", "how long --after-sync waits, 0 to 60 (10)", parseTimeout);
  return withServerOptions(command)
    .addOption(jsonOption())
    .action(async (words: string[], options: SearchOptions) => {
      // Imported here because a starting server does not need it.
      const { searchStore } = await import("../search-store.ts");
      await searchStore(words.join(" "), options);
    });
}

const append = (name: string, names: string[] = []) => [...names, name];

function parseLimit(text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text) && Number(text) <= LIMITS.searchResults) return Number(text);
  throw new InvalidArgumentError(`It must be a number from 1 to ${LIMITS.searchResults}.`);
}

function parseTimeout(text: string): number {
  const seconds = Number(text);
  if (/^\d+(\.\d{1,3})?$/.test(text) && seconds * 1000 <= LIMITS.searchTimeoutMs) return seconds;
  throw new InvalidArgumentError(`It must be a number of seconds up to ${LIMITS.searchTimeoutMs / 1000}.`);
}

function parseFilter(text: string): SearchFilter {
  try {
    const filter: unknown = parseJson(text);
    if (typeof filter === "object" && filter !== null && !Array.isArray(filter))
      return filter as SearchFilter;
  } catch {}
  throw new InvalidArgumentError("It must be a JSON object.");
}
