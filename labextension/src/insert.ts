import { Notebook } from '@jupyterlab/notebook';

/** Put a code cell into the notebook, and the cursor into its text. */
export async function insertCell(
  notebook: Notebook,
  index: number,
  source: string,
  cursor = source.length
): Promise<void> {
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
  const position = cell?.editor?.getPositionAt(cursor);
  if (position !== undefined) {
    cell?.editor?.setCursorPosition(position);
  }
}
