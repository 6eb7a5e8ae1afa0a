/** What a step of background work did: `more` means that another step should follow without a pause. */
export interface MaintenanceStep {
  rows: number;
  more: boolean;
}
