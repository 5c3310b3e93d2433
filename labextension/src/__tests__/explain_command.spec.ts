import { EXPLAIN_SCHEMA, explainSource, readCell } from '../explain/command';

describe('readCell', () => {
  it('accepts the arguments of the schema', () => {
    expect(readCell({ cell: 3 })).toBe(3);
    expect(readCell({ toolbar: true })).toBeNull();
    expect(Object.keys(EXPLAIN_SCHEMA.properties as object)).toEqual(['cell']);
  });

  it.each([0, -1, 1.5, '3', '3\nimport os', null])('rejects %j', cell => {
    expect(() => readCell({ cell })).toThrow('The cell number must be');
  });
});

describe('explainSource', () => {
  it('contains the cell number, if there is one', () => {
    expect(explainSource(3)).toBe('%cfai explain 3');
    expect(explainSource(null)).toBe('%cfai explain');
  });
});
