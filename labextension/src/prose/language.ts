import { defineLanguageFacet, Language, language } from '@codemirror/language';
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

import { IRange } from '../expressions';
import { isQuestion } from '../magic';
import { questionTree } from './tree';

/** The colours of a question: its text by Markdown's parser, what it fills in by Python's. */
export function questionColours(markdown: Parser, python: Parser): Extension {
  const mixed = parseMixed(node => inner(node, markdown, python));
  const question = languageOf(new WholeParser(questionTree, mixed), 'cfai');
  // A function of the first line: so it follows what is typed, and undo, with no state to keep.
  const ofCell = (state: EditorState): Language[] =>
    isQuestion(state.doc.line(1).text) ? [question] : [];
  return [
    Prec.highest(language.computeN(['doc'], ofCell)),
    // CodeMirror wants some language wherever there may be one; cells have theirs a moment later.
    Prec.lowest(language.of(languageOf(new WholeParser(plainTree), '')))
  ];
}

function languageOf(parser: Parser, name: string): Language {
  return new Language(defineLanguageFacet(), parser, [], name);
}

function plainTree(text: string): Tree {
  return new Tree(NodeType.none, [], [], text.length);
}

/** What parses the inside of a node of our tree: none but prose and code have one. */
function inner(
  node: SyntaxNodeRef,
  markdown: Parser,
  python: Parser
): NestedParse | null {
  if (node.name === 'Code') {
    return { parser: python };
  }
  return node.name === 'Prose'
    ? { parser: markdown, overlay: besideChildren(node) }
    : null;
}

function besideChildren(node: SyntaxNodeRef): IRange[] {
  const found: IRange[] = [];
  let from = node.from;
  for (let child = node.node.firstChild; child; child = child.nextSibling) {
    found.push({ from, to: child.from });
    from = child.to;
  }
  found.push({ from, to: node.to });
  return found.filter(range => range.from < range.to);
}

/** Reads the text anew whenever it changes: a cell is small. */
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

/** A parse that is done in one step. */
class WholeParse implements PartialParse {
  constructor(readonly advance: () => Tree) {}

  readonly parsedPos = 0;
  stoppedAt: number | null = null;

  stopAt(position: number): void {
    this.stoppedAt = position;
  }
}
