import {
  ReadonlyJSONObject,
  ReadonlyPartialJSONObject
} from '@lumino/coreutils';

/** JSON Schema of the command arguments. */
export const EXPLAIN_SCHEMA: ReadonlyJSONObject = {
  type: 'object',
  properties: {
    cell: {
      type: 'integer',
      minimum: 1,
      description:
        'Execution count of the failed cell, for example 3 for [3] (default: the last error)'
    }
  },
  additionalProperties: false
};

/** Validate the arguments, which any extension can send; return the cell number or null. */
export function readCell(args: ReadonlyPartialJSONObject): number | null {
  const { cell } = args;
  if (cell === undefined) {
    return null;
  }
  if (!Number.isInteger(cell) || Number(cell) < 1) {
    throw new Error(
      `The cell number must be an integer of at least 1, not ${JSON.stringify(cell)}`
    );
  }
  return Number(cell);
}

/** Return the source of a cell that explains an error. */
export function explainSource(cell: number | null): string {
  return cell === null ? '%cfai explain' : `%cfai explain ${cell}`;
}
