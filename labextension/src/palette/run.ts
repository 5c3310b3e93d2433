import { NotebookActions, NotebookPanel } from '@jupyterlab/notebook';

import { insertCell } from '../insert';

const LOAD = '%load_ext cfai_magics';

/** Put a cell with a command below the current one and run it, the extension loaded if need be. */
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
