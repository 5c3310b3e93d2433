import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker, Notebook } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { cfaiIcon } from '../icon';
import { insertCell } from '../insert';
import { writableNotebook } from '../tracker';
import { ASK_SCHEMA, question, readAsk } from './cell';
import { ISelection, selection } from './selection';

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
    const add = (
      id: string,
      label: string,
      caption: string,
      about: (notebook: Notebook) => ISelection
    ): void => {
      app.commands.addCommand(id, {
        label,
        caption,
        icon: cfaiIcon,
        describedBy: { args: ASK_SCHEMA },
        isEnabled: () => writableNotebook(tracker) !== null,
        execute: async args => {
          const notebook = writableNotebook(tracker);
          if (notebook !== null) {
            const { quotes, lastIndex } = about(notebook);
            const { source, cursor } = question(readAsk(args), quotes);
            await insertCell(notebook, lastIndex + 1, source, cursor);
          }
        }
      });
      palette?.addItem({ command: id, category: trans.__('Workers AI') });
    };
    add(
      'cfai:insert-cell',
      // A translator would take %% for an escaped percent sign.
      trans.__('Insert a %1 cell', '%%cfai'),
      trans.__('Insert a cell that asks a model below this one'),
      notebook => ({ quotes: [], lastIndex: notebook.activeCellIndex })
    );
    add(
      'cfai:ask-about-selection',
      trans.__('Ask about the selection'),
      trans.__(
        'Insert a cell that asks a model about the selected text or cells'
      ),
      selection
    );
  }
};

export default plugin;
