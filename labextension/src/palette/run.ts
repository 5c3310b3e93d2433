import { NotebookActions, NotebookPanel } from '@jupyterlab/notebook';

import { insertCell } from '../notebook';

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
