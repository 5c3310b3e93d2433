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
