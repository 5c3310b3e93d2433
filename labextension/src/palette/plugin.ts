import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker, Notebook } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { cfaiIcon } from '../icon';
import { ASK_SCHEMA, askSource, readAsk } from './cell';
import { insertCellBelow } from './insert';

const INSERT_CELL = 'cfai:insert-cell';

/** Commands that write %%cfai cells, and their place in the command palette. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'cfai-magics:palette',
  description: 'Commands that write %%cfai cells.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    app.commands.addCommand(INSERT_CELL, {
      // A translator would take %% for an escaped percent sign.
      label: trans.__('Insert a %1 cell', '%%cfai'),
      caption: trans.__('Insert a cell that asks a model below this one'),
      icon: cfaiIcon,
      describedBy: { args: ASK_SCHEMA },
      isEnabled: () => writableNotebook(tracker) !== null,
      execute: async args => {
        const notebook = writableNotebook(tracker);
        if (notebook !== null) {
          await insertCellBelow(notebook, askSource(readAsk(args)));
        }
      }
    });
    palette?.addItem({
      command: INSERT_CELL,
      category: trans.__('Workers AI')
    });
  }
};

/** The notebook in front, unless it may not be changed. */
function writableNotebook(tracker: INotebookTracker): Notebook | null {
  const notebook = tracker.currentWidget?.content;
  return notebook?.model && !notebook.model.readOnly ? notebook : null;
}

export default plugin;
