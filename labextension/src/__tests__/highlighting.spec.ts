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

import { createHighlighting } from '../highlighting/language';

const extensions = [createHighlighting(markdown, python)];
const pythonLanguage = LRLanguage.define({ parser: python });
const open = (doc: string): EditorState =>
  EditorState.create({ doc, extensions });

/** Return the highlighted ranges, each as `classes: text`. */
function highlighted(state: EditorState): string[] {
  const ranges: string[] = [];
  // Without a time limit: an editor parses for some milliseconds and continues later.
  const tree = ensureSyntaxTree(state, state.doc.length, Infinity)!;
  highlightTree(tree, classHighlighter, (from, to, classes) => {
    ranges.push(`${classes.replace(/tok-/g, '')}: ${state.sliceDoc(from, to)}`);
  });
  return ranges;
}

describe('createHighlighting', () => {
  it('highlights the prompt as Markdown and expressions as Python', () => {
    const state = open("%%cfai -t 0\n# It's {{df['a']}}\n\n*so*, [it](x)");
    expect(highlighted(state)).toEqual([
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

  it('does not highlight an apostrophe as a string', () => {
    const below = highlighted(open("%%cfai\nIt's so, isn't it?")).slice(1);
    expect(below).toEqual([]);
  });

  it('does not highlight expressions with --raw', () => {
    expect(highlighted(open('%%cfai --raw\n{{x}}'))).toEqual([
      'keyword: %%cfai',
      'propertyName: --raw'
    ]);
  });

  it('follows changes of the first line', () => {
    let state = open('\n# Why?');
    const type = (insert: string): void => {
      const from = state.doc.line(1).to;
      state = state.update({ changes: { from, insert } }).state;
    };
    expect(highlighted(state)).toEqual([]);
    type('%%cfai');
    expect(highlighted(state)).toContain('heading:  Why?');
    type('r');
    expect(highlighted(state)).toEqual([]);
  });

  it("keeps the editor's language in other cells", () => {
    const own = new LanguageSupport(pythonLanguage);
    const state = EditorState.create({
      doc: "%%time\n'x'",
      extensions: [own, ...extensions]
    });
    expect(state.facet(language)).toBe(pythonLanguage);
    const question = state.update({
      changes: { from: 0, to: 6, insert: '%%cfai' }
    }).state;
    expect(highlighted(question)).toEqual(['keyword: %%cfai']);
  });

  it('follows changes of the prompt', () => {
    let state = open('%%cfai\nIt is ');
    for (const insert of '{{n + 1}} *so*') {
      const from = state.doc.length;
      state = state.update({ changes: { from, insert } }).state;
    }
    expect(highlighted(state)).toEqual(highlighted(open(state.doc.toString())));
    expect(highlighted(state)).toContain('emphasis: so');
  });
});
