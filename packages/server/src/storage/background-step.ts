/** How much a step of background work did: `more` says that another one is worthwhile at once. */
export interface MaintenanceStep {
  rows: number;
  more: boolean;
}
