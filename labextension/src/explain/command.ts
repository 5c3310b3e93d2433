import {
  ReadonlyJSONObject,
  ReadonlyPartialJSONObject
} from '@lumino/coreutils';

/** The arguments of the command, described for whoever calls it. */
export const EXPLAIN_SCHEMA: ReadonlyJSONObject = {
  type: 'object',
  properties: {
    cell: {
      type: 'integer',
      minimum: 1,
      description:
        'The number of the failed cell, as in [3]; left out, the last error is explained'
    }
  },
  additionalProperties: false
};

/** Read the number of the failed cell, which anyone may have sent. */
export function readCell(args: ReadonlyPartialJSONObject): number | null {
  const { cell } = args;
  if (cell === undefined) {
    return null;
  }
  if (!Number.isInteger(cell) || Number(cell) < 1) {
    throw new Error(`Not the number of a cell: ${JSON.stringify(cell)}`);
  }
  return Number(cell);
}

/** The source of a cell that has an error explained. */
export function explainSource(cell: number | null): string {
  return cell === null ? '%cfai explain' : `%cfai explain ${cell}`;
}
