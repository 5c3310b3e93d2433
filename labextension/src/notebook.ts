import {
  INotebookTracker,
  Notebook,
  NotebookActions,
  NotebookPanel
} from '@jupyterlab/notebook';

/** Return the current notebook; null if it is read-only. */
export function writableNotebook(tracker: INotebookTracker): Notebook | null {
  const notebook = tracker.currentWidget?.content;
  return notebook && isWritable(notebook) ? notebook : null;
}

/** Return true if cells can be inserted into a notebook. */
export function isWritable(notebook: Notebook): boolean {
  return notebook.model !== null && !notebook.model.readOnly;
}

/** Insert a code cell and place the cursor in its text. */
export async function insertCell(
  notebook: Notebook,
  index: number,
  source: string,
  cursor = source.length
): Promise<void> {
  notebook.model?.sharedModel.insertCell(index, {
    cell_type: 'code',
    source,
    // JupyterLab does the same for new cells; otherwise the notebook is no longer trusted.
    metadata: { trusted: true }
  });
  notebook.deselectAll();
  notebook.activeCellIndex = index;
  await notebook.scrollToItem(index, 'auto', 0);
  const cell = notebook.activeCell;
  await cell?.ready;
  notebook.mode = 'edit';
  const position = cell?.editor?.getPositionAt(cursor);
  if (position !== undefined) {
    cell?.editor?.setCursorPosition(position);
  }
}

const LOAD = '%load_ext cfai_magics';

/** Insert a command cell below the current cell and run it; load the extension if necessary. */
export async function runCommand(
  { content, sessionContext }: NotebookPanel,
  command: string,
  loaded: boolean
): Promise<void> {
  const source = loaded ? command : `${LOAD}\n${command}`;
  await insertCell(content, content.activeCellIndex + 1, source);
  content.mode = 'command';
  await NotebookActions.run(content, sessionContext);
}
