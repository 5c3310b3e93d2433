import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { Cell, CodeCell, ICodeCellModel } from '@jupyterlab/cells';
import {
  INotebookTracker,
  Notebook,
  NotebookActions
} from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { cfaiIcon } from '../icon';
import { insertCell } from '../insert';
import { isOurs } from '../magic';
import { isWritable, writableNotebook } from '../tracker';
import { attachButton, ExplainButton, showsError } from './button';
import { EXPLAIN_SCHEMA, explainSource, readCell } from './command';

const EXPLAIN_ERROR = 'cfai:explain-error';

/** A command and a button that insert `%cfai explain`; the user runs it, or does not. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'cfai-magics:explain',
  description: 'Offers to have errors explained.',
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
    app.commands.addCommand(EXPLAIN_ERROR, {
      label: trans.__('Explain the last error'),
      caption: trans.__('Insert a cell that has the last error explained'),
      icon: cfaiIcon,
      describedBy: { args: EXPLAIN_SCHEMA },
      isEnabled: () => writableNotebook(tracker) !== null,
      execute: async args => {
        const cell = readCell(args);
        const notebook = writableNotebook(tracker);
        if (notebook !== null) {
          await insertCell(
            notebook,
            indexOf(notebook, cell) + 1,
            explainSource(cell)
          );
        }
      }
    });
    palette?.addItem({
      command: EXPLAIN_ERROR,
      category: trans.__('Workers AI')
    });

    NotebookActions.executed.connect((_, { notebook, cell, success }) => {
      const panel = tracker.find(({ content }) => content === notebook);
      if (success || !panel || !isWritable(notebook) || !isExplainable(cell)) {
        return;
      }
      const explain = async (): Promise<void> => {
        const index = notebook.widgets.indexOf(cell) + 1;
        await insertCell(
          notebook,
          index,
          explainSource(cell.model.executionCount)
        );
      };
      const label = trans.__('Explain with Workers AI');
      attachButton(
        cell,
        new ExplainButton(
          cell,
          panel.sessionContext,
          label,
          () => void explain()
        )
      );
    });
  }
};

/** Whether the kernel can explain what happened to a cell: an error, and none of our own. */
function isExplainable(cell: Cell): cell is CodeCell {
  return (
    cell instanceof CodeCell &&
    cell.model.executionCount !== null &&
    showsError(cell) &&
    !isOurs(cell.model.sharedModel.getSource())
  );
}

/** Where the failed cell of this number stands, else the current cell. */
function indexOf(notebook: Notebook, number: number | null): number {
  const index = notebook.widgets.findIndex(
    ({ model }) =>
      number !== null && (model as ICodeCellModel).executionCount === number
  );
  return index < 0 ? notebook.activeCellIndex : index;
}

export default plugin;
