import { Notebook } from '@jupyterlab/notebook';

/** Put a code cell below the current one and the cursor at its end. */
export async function insertCellBelow(
  notebook: Notebook,
  source: string
): Promise<void> {
  const index = notebook.activeCellIndex + 1;
  notebook.model?.sharedModel.insertCell(index, {
    cell_type: 'code',
    source,
    // As Lab's own new cells: without it the notebook counts as not trusted.
    metadata: { trusted: true }
  });
  notebook.deselectAll();
  notebook.activeCellIndex = index;
  await notebook.scrollToItem(index, 'auto', 0);
  const cell = notebook.activeCell;
  await cell?.ready;
  notebook.mode = 'edit';
  const end = cell?.editor?.getPositionAt(source.length);
  if (end !== undefined) {
    cell?.editor?.setCursorPosition(end);
  }
}
