/** The settings and students that a class starts with, as `cfai class new` writes them. */

import bundled from './class.json';

export interface RosterStudent {
  name: string;
  /** SHA-256 of the key, as hex. */
  key_hash: string;
  settings: Record<string, unknown>;
}

export interface Roster {
  /** Random. A roster without an id adds nothing. */
  id: string;
  settings: Record<string, unknown>;
  students: RosterStudent[];
}

export const BUNDLED_ROSTER: Roster = bundled;
