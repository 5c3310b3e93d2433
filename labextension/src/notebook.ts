import { Notebook } from '@jupyterlab/notebook';

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
