/** How much a step of background work did: `more` says that another one is worthwhile at once. */
export interface HousekeepingStep {
  rows: number;
  more: boolean;
}
