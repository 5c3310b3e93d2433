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

import {
  findExpressions,
  hasRawFlag,
  IRange,
  isCfaiCell,
  tokenize
} from '../cellSource';

/** Return the highlighting of %%cfai cells: Markdown, with Python inside {{…}}. */
export function createHighlighting(
  markdown: Parser,
  python: Parser
): Extension {
  const mixed = parseMixed(node => nestedParse(node, markdown, python));
  const question = languageOf(new FullTextParser(parseCell, mixed), 'cfai');
  // Computed from the first line, so it needs no state and stays correct after edits and undo.
  const ofCell = (state: EditorState): Language[] =>
    isCfaiCell(state.doc.line(1).text) ? [question] : [];
  return [
    Prec.highest(language.computeN(['doc'], ofCell)),
    // CodeMirror requires a default language; cells get their own later.
    Prec.lowest(language.of(languageOf(new FullTextParser(plainTree), '')))
  ];
}

function languageOf(parser: Parser, name: string): Language {
  return new Language(defineLanguageFacet(), parser, [], name);
}

function plainTree(text: string): Tree {
  return new Tree(NodeType.none, [], [], text.length);
}

/** Return the parser for the inside of a node; only Prompt and Code nodes have one. */
function nestedParse(
  node: SyntaxNodeRef,
  markdown: Parser,
  python: Parser
): NestedParse | null {
  if (node.name === 'Code') {
    return { parser: python };
  }
  return node.name === 'Prompt'
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
class FullTextParser extends Parser {
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
    const whole = new FullTextParse(() =>
      this._read(input.read(0, input.length))
    );
    return this._mixed(whole, input, fragments, ranges);
  }
}

/** A parse in one step. */
class FullTextParse implements PartialParse {
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
  'Prompt',
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
interface INodeSpec extends IRange {
  readonly name: Name;
  readonly children?: readonly INodeSpec[];
}

/** Return the tree of a %%cfai cell: tokens of the first line, then the prompt with its {{…}}. */
function parseCell(text: string): Tree {
  const newline = text.indexOf('\n');
  const end = newline < 0 ? text.length : newline;
  const line = text.slice(0, end);
  const children: INodeSpec[] = [
    { name: 'Line', from: 0, to: end, children: tokenize(line) }
  ];
  if (newline >= 0) {
    children.push(promptNode(text, newline + 1, hasRawFlag(line)));
  }
  return buildTree({ name: 'Document', from: 0, to: text.length, children });
}

function promptNode(text: string, from: number, raw: boolean): INodeSpec {
  const ranges = raw ? [] : findExpressions(text.slice(from));
  const children = ranges.map(range => expressionNode(range, from));
  return { name: 'Prompt', from, to: text.length, children };
}

function expressionNode(range: IRange, offset: number): INodeSpec {
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

function buildTree({ name, from, to, children = [] }: INodeSpec): Tree {
  return new Tree(
    TYPES.get(name)!,
    children.map(buildTree),
    children.map(child => child.from - from),
    to - from
  );
}
