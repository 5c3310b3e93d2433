import { INotebookTracker, Notebook } from '@jupyterlab/notebook';

/** Return the current notebook; null if it is read-only. */
export function writableNotebook(tracker: INotebookTracker): Notebook | null {
  const notebook = tracker.currentWidget?.content;
  return notebook && isWritable(notebook) ? notebook : null;
}

/** Return true if cells can be inserted into a notebook. */
export function isWritable(notebook: Notebook): boolean {
  return notebook.model !== null && !notebook.model.readOnly;
}
