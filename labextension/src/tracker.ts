import { INotebookTracker, Notebook } from '@jupyterlab/notebook';

/** The notebook in front, unless it may not be changed. */
export function writableNotebook(tracker: INotebookTracker): Notebook | null {
  const notebook = tracker.currentWidget?.content;
  return notebook && isWritable(notebook) ? notebook : null;
}

/** Whether cells may be put into a notebook. */
export function isWritable(notebook: Notebook): boolean {
  return notebook.model !== null && !notebook.model.readOnly;
}
