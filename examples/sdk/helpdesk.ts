/** A ticket as the helpdesk's API returns it. */
export interface Ticket {
  id: number;
  subject: string;
  status: "open" | "solved";
  updated_at: string;
}

/** An entry of the change feed: the ticket as it is now, or the id of a deleted one. */
export type Change = { ticket: Ticket } | { deleted: number };

const PAGE_SIZE = 100;
const SUBJECTS = [
  "Printer on fire",
  "No toner",
  "Paper jam",
  "Keyboard has no any key",
  "Screen is upside down",
];

/** Stands in for the API of a helpdesk, with a paged list and a feed of changes. */
export class Helpdesk {
  #tickets = new Map<number, Ticket>();
  #changes: Change[] = [];

  constructor(tickets: number) {
    for (let id = 1; id <= tickets; id++) {
      const subject = `${SUBJECTS[id % SUBJECTS.length]}, floor ${id % 40}`;
      const status = id % 3 === 0 ? "open" : "solved";
      this.#tickets.set(id, { id, subject, status, updated_at: "2025-11-11T10:30:00Z" });
    }
  }

  /** Returns a page of all tickets. @param cursor the `next` of the page before */
  async listTickets(cursor = 0): Promise<{ tickets: Ticket[]; next?: number }> {
    const end = cursor + PAGE_SIZE;
    const tickets = [...this.#tickets.values()].slice(cursor, end);
    return end < this.#tickets.size ? { tickets, next: end } : { tickets };
  }

  /** Returns the changes since the last call. */
  async readChanges(): Promise<Change[]> {
    return this.#changes.splice(0);
  }

  save(ticket: Ticket): void {
    this.#tickets.set(ticket.id, ticket);
    this.#changes.push({ ticket });
  }

  delete(id: number): void {
    this.#tickets.delete(id);
    this.#changes.push({ deleted: id });
  }
}
