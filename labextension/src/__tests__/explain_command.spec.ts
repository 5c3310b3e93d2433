import { EXPLAIN_SCHEMA, explainSource, readCell } from '../explain/command';

describe('readCell', () => {
  it('reads what the command describes', () => {
    expect(readCell({ cell: 3 })).toBe(3);
    expect(readCell({ toolbar: true })).toBeNull();
    expect(Object.keys(EXPLAIN_SCHEMA.properties as object)).toEqual(['cell']);
  });

  it.each([0, -1, 1.5, '3', '3\nimport os', null])('refuses %j', cell => {
    expect(() => readCell({ cell })).toThrow('Not the number of a cell');
  });
});

describe('explainSource', () => {
  it('names the cell, if one is named', () => {
    expect(explainSource(3)).toBe('%cfai explain 3');
    expect(explainSource(null)).toBe('%cfai explain');
  });
});
