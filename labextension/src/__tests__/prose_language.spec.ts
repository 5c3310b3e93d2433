import {
  ensureSyntaxTree,
  language,
  LanguageSupport,
  LRLanguage
} from '@codemirror/language';
import { EditorState } from '@codemirror/state';
import { classHighlighter, highlightTree } from '@lezer/highlight';
import { parser as markdown } from '@lezer/markdown';
import { parser as python } from '@lezer/python';

import { questionColours } from '../prose/language';

const extensions = [questionColours(markdown, python)];
const pythonLanguage = LRLanguage.define({ parser: python });
const open = (doc: string): EditorState =>
  EditorState.create({ doc, extensions });

/** What is coloured, with the classes that name its colour. */
function coloured(state: EditorState): string[] {
  const found: string[] = [];
  // All of it, however long that takes here: an editor stops after a while and goes on later.
  const tree = ensureSyntaxTree(state, state.doc.length, Infinity)!;
  highlightTree(tree, classHighlighter, (from, to, classes) => {
    found.push(`${classes.replace(/tok-/g, '')}: ${state.sliceDoc(from, to)}`);
  });
  return found;
}

describe('questionColours', () => {
  it('reads the text as Markdown and what it fills in as Python', () => {
    const state = open("%%cfai -t 0\n# It's {{df['a']}}\n\n*so*, [it](x)");
    expect(coloured(state)).toEqual([
      'keyword: %%cfai',
      'propertyName: -t',
      'number: 0',
      'heading meta: #',
      "heading:  It's ",
      'keyword: {{',
      'variableName: df',
      'punctuation: [',
      "string: 'a'",
      'punctuation: ]',
      'keyword: }}',
      'emphasis meta: *',
      'emphasis: so',
      'emphasis meta: *',
      'link meta: [',
      'link: it',
      'link meta: ]',
      'link meta: (',
      'link url: x',
      'link meta: )'
    ]);
  });

  it('takes an apostrophe for one', () => {
    const below = coloured(open("%%cfai\nIt's so, isn't it?")).slice(1);
    expect(below).toEqual([]);
  });

  it('leaves braces alone where the line says so', () => {
    expect(coloured(open('%%cfai --raw\n{{x}}'))).toEqual([
      'keyword: %%cfai',
      'propertyName: --raw'
    ]);
  });

  it('begins when the line is typed and ends when it is changed', () => {
    let state = open('\n# Why?');
    const type = (insert: string): void => {
      const from = state.doc.line(1).to;
      state = state.update({ changes: { from, insert } }).state;
    };
    expect(coloured(state)).toEqual([]);
    type('%%cfai');
    expect(coloured(state)).toContain('heading:  Why?');
    type('r');
    expect(coloured(state)).toEqual([]);
  });

  it("leaves other cells to the editor's own language", () => {
    const own = new LanguageSupport(pythonLanguage);
    const state = EditorState.create({
      doc: "%%time\n'x'",
      extensions: [own, ...extensions]
    });
    expect(state.facet(language)).toBe(pythonLanguage);
    const question = state.update({
      changes: { from: 0, to: 6, insert: '%%cfai' }
    }).state;
    expect(coloured(question)).toEqual(['keyword: %%cfai']);
  });

  it('follows what is typed in the text', () => {
    let state = open('%%cfai\nIt is ');
    for (const insert of '{{n + 1}} *so*') {
      const from = state.doc.length;
      state = state.update({ changes: { from, insert } }).state;
    }
    expect(coloured(state)).toEqual(coloured(open(state.doc.toString())));
    expect(coloured(state)).toContain('emphasis: so');
  });
});
