import { NodeType, Tree } from '@lezer/common';
import { styleTags, tags } from '@lezer/highlight';

import { expressions, IRange } from '../expressions';
import { isRaw, pieces } from '../cellSyntax';

const styles = styleTags({
  Magic: tags.keyword,
  Flag: tags.attributeName,
  Value: tags.string,
  Number: tags.number,
  Brace: tags.keyword
});
const NAMES = [
  'Document',
  'Line',
  'Magic',
  'Flag',
  'Value',
  'Number',
  'Prose',
  'Expression',
  'Brace',
  'Code'
] as const;
type Name = (typeof NAMES)[number];

const TYPES = new Map(
  NAMES.map((name, id) => [
    name,
    NodeType.define({ id, name, top: id === 0, props: [styles] })
  ])
);

/** A node with its absolute position; Lezer trees use positions relative to the parent. */
interface IPlaced extends IRange {
  readonly name: Name;
  readonly children?: readonly IPlaced[];
}

/** Return the tree of a %%cfai cell: tokens of the first line, then the prompt with its {{…}}. */
export function questionTree(text: string): Tree {
  const newline = text.indexOf('\n');
  const end = newline < 0 ? text.length : newline;
  const line = text.slice(0, end);
  const children: IPlaced[] = [
    { name: 'Line', from: 0, to: end, children: pieces(line) }
  ];
  if (newline >= 0) {
    children.push(prose(text, newline + 1, isRaw(line)));
  }
  return built({ name: 'Document', from: 0, to: text.length, children });
}

function prose(text: string, from: number, raw: boolean): IPlaced {
  const ranges = raw ? [] : expressions(text.slice(from));
  const children = ranges.map(range => expression(range, from));
  return { name: 'Prose', from, to: text.length, children };
}

function expression(range: IRange, offset: number): IPlaced {
  const from = range.from + offset;
  const to = range.to + offset;
  return {
    name: 'Expression',
    from,
    to,
    children: [
      { name: 'Brace', from, to: from + 2 },
      { name: 'Code', from: from + 2, to: to - 2 },
      { name: 'Brace', from: to - 2, to }
    ]
  };
}

function built({ name, from, to, children = [] }: IPlaced): Tree {
  return new Tree(
    TYPES.get(name)!,
    children.map(built),
    children.map(child => child.from - from),
    to - from
  );
}
