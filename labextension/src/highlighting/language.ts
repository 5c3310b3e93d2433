import { defineLanguageFacet, language, Language } from '@codemirror/language';
import { EditorState, Extension, Prec } from '@codemirror/state';
import {
  Input,
  NestedParse,
  NodeType,
  parseMixed,
  Parser,
  ParseWrapper,
  PartialParse,
  SyntaxNodeRef,
  Tree,
  TreeFragment
} from '@lezer/common';
import { styleTags, tags } from '@lezer/highlight';

import { expressions, IRange, isQuestion, isRaw, pieces } from '../cellSyntax';

/** Return the highlighting of %%cfai cells: Markdown, with Python inside {{…}}. */
export function questionColours(markdown: Parser, python: Parser): Extension {
  const mixed = parseMixed(node => inner(node, markdown, python));
  const question = languageOf(new WholeParser(questionTree, mixed), 'cfai');
  // Computed from the first line, so it needs no state and stays correct after edits and undo.
  const ofCell = (state: EditorState): Language[] =>
    isQuestion(state.doc.line(1).text) ? [question] : [];
  return [
    Prec.highest(language.computeN(['doc'], ofCell)),
    // CodeMirror requires a default language; cells get their own later.
    Prec.lowest(language.of(languageOf(new WholeParser(plainTree), '')))
  ];
}

function languageOf(parser: Parser, name: string): Language {
  return new Language(defineLanguageFacet(), parser, [], name);
}

function plainTree(text: string): Tree {
  return new Tree(NodeType.none, [], [], text.length);
}

/** Return the parser for the inside of a node; only Prose and Code nodes have one. */
function inner(
  node: SyntaxNodeRef,
  markdown: Parser,
  python: Parser
): NestedParse | null {
  if (node.name === 'Code') {
    return { parser: python };
  }
  return node.name === 'Prose'
    ? { parser: markdown, overlay: rangesBetweenChildren(node) }
    : null;
}

function rangesBetweenChildren(node: SyntaxNodeRef): IRange[] {
  const ranges: IRange[] = [];
  let from = node.from;
  for (let child = node.node.firstChild; child; child = child.nextSibling) {
    ranges.push({ from, to: child.from });
    from = child.to;
  }
  ranges.push({ from, to: node.to });
  return ranges.filter(range => range.from < range.to);
}

/** Parses the whole text after each change, because cells are small. */
class WholeParser extends Parser {
  constructor(
    private readonly _read: (text: string) => Tree,
    private readonly _mixed: ParseWrapper = parse => parse
  ) {
    super();
  }

  createParse(
    input: Input,
    fragments: readonly TreeFragment[],
    ranges: readonly IRange[]
  ): PartialParse {
    const whole = new WholeParse(() => this._read(input.read(0, input.length)));
    return this._mixed(whole, input, fragments, ranges);
  }
}

/** A parse in one step. */
class WholeParse implements PartialParse {
  constructor(readonly advance: () => Tree) {}

  readonly parsedPos = 0;
  stoppedAt: number | null = null;

  stopAt(position: number): void {
    this.stoppedAt = position;
  }
}

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
