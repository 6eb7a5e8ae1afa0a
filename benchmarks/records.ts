const WORDS =
  "the quick brown fox jumps over a lazy dog while seven wizards quietly box up five dozen liquor jugs ".repeat(
    9,
  );

export interface BenchmarkRecord {
  id: string;
  data: Record<string, unknown>;
}

/** Records of about 1 KB each, like those of a task tracker. */
export function makeRecords(from: number, count: number): BenchmarkRecord[] {
  return Array.from({ length: count }, (_, index) => {
    const number = from + index;
    return {
      id: `task_${String(number).padStart(9, "0")}`,
      data: {
        name: `Task number ${number}`,
        status: ["open", "in progress", "done"][number % 3],
        priority: number % 5,
        assignee: { id: number % 97, name: `Person ${number % 97}` },
        tags: [`team-${number % 11}`, `sprint-${number % 53}`],
        description: `${WORDS.slice(0, 760)} ${number}`,
        updated_at: new Date(1_760_000_000_000 + number * 1000).toISOString(),
      },
    };
  });
}
