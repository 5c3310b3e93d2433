import { Cell } from '@jupyterlab/cells';
import { Notebook } from '@jupyterlab/notebook';

import { IQuote } from '../cellSource';

/** The selected texts of a notebook, and the index of the last selected cell. */
export interface ISelection {
  readonly quotes: readonly IQuote[];
  readonly lastIndex: number;
}

/** Return the selected text of the edited cell, or the selected cells. */
export function selection(notebook: Notebook): ISelection {
  const text = notebook.mode === 'edit' ? selectedText(notebook) : '';
  const quote = (cell: Cell, text: string): IQuote => ({
    text,
    // %%cfai works only in Python kernels.
    language: cell.model.type === 'code' ? 'python' : ''
  });
  if (notebook.activeCell && text.trim()) {
    return {
      quotes: [quote(notebook.activeCell, text)],
      lastIndex: notebook.activeCellIndex
    };
  }
  const cells = notebook.widgets.filter(cell =>
    notebook.isSelectedOrActive(cell)
  );
  return {
    quotes: cells
      .map(cell => quote(cell, cell.model.sharedModel.getSource()))
      .filter(({ text }) => text.trim()),
    lastIndex: notebook.widgets.indexOf(cells[cells.length - 1])
  };
}

function selectedText(notebook: Notebook): string {
  const editor = notebook.activeCell?.editor;
  if (!editor) {
    return '';
  }
  const { start, end } = editor.getSelection();
  const [from, to] = [editor.getOffsetAt(start), editor.getOffsetAt(end)];
  const source = editor.model.sharedModel.getSource();
  return source.slice(Math.min(from, to), Math.max(from, to));
}
