import { JupyterFrontEnd } from '@jupyterlab/application';
import {
  INotebookTracker,
  Notebook,
  NotebookActions,
  NotebookPanel
} from '@jupyterlab/notebook';

/** The MIME type of a view of a widget in an output. */
export const WIDGET_VIEW = 'application/vnd.jupyter.widget-view+json';

/** Return the ID of the tab or sidebar panel that shows the panel of a notebook. */
export function dockId(notebook: NotebookPanel): string {
  return `cfai-panel-${notebook.id}`;
}

/** Return the notebook in the active tab, or the one whose panel is in the active tab. */
export function activeNotebook(
  shell: JupyterFrontEnd.IShell,
  tracker: INotebookTracker
): NotebookPanel | null {
  const { currentWidget: panel } = tracker;
  const { currentWidget: tab } = shell;
  return panel && (tab === panel || tab?.id === dockId(panel)) ? panel : null;
}

/** Return the active notebook; null if it is read-only. */
export function writableNotebook(
  shell: JupyterFrontEnd.IShell,
  tracker: INotebookTracker
): NotebookPanel | null {
  const panel = activeNotebook(shell, tracker);
  return panel && isWritable(panel.content) ? panel : null;
}

/** Return true if cells can be inserted into a notebook. */
export function isWritable(notebook: Notebook): boolean {
  return notebook.model !== null && !notebook.model.readOnly;
}

/** Insert a code cell, place the cursor in its text and move the focus into its editor. */
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
  // Notebook does not move the focus if it is outside, as after a click in a menu.
  cell?.editor?.focus();
}

/** Insert a code cell and run it. */
export async function insertAndRun(
  { content, sessionContext }: NotebookPanel,
  index: number,
  source: string
): Promise<void> {
  await insertCell(content, index, source);
  content.mode = 'command';
  await NotebookActions.run(content, sessionContext);
}
