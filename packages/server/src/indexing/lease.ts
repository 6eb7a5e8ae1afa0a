/** How long marks are taken for; whoever took them asks for more time while it works on them. */
export const LEASE_MS = 30_000;
