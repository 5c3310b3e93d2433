import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { Cell, ICodeCellModel } from '@jupyterlab/cells';
import {
  INotebookTracker,
  Notebook,
  NotebookActions
} from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { Follower, IBridges } from '../clientTracker';
import { cfaiIcon } from '../icon';
import { insertCell } from '../notebook';
import { isWritable, writableNotebook } from '../tracker';
import { EXPLAIN_SCHEMA, explainSource, readCell } from './command';

const EXPLAIN_ERROR = 'cfai:explain-error';

/**
 * Adds a command and a button that insert `%cfai explain`, which the user can run. Both need a
 * kernel that has loaded the extension.
 */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'cfai-magics:explain',
  description: 'Adds a command and a button that explain errors.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [IBridges, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    bridges: IBridges | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): void => {
    if (bridges === null) {
      return;
    }
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    const loaded = (): Notebook | null => {
      const session = tracker.currentWidget?.sessionContext;
      return session && bridges.of(session) ? writableNotebook(tracker) : null;
    };
    app.commands.addCommand(EXPLAIN_ERROR, {
      label: trans.__('Explain the last error'),
      caption: trans.__('Insert a cell that explains the last error'),
      icon: cfaiIcon,
      describedBy: { args: EXPLAIN_SCHEMA },
      isEnabled: () => loaded() !== null,
      execute: async args => {
        const cell = readCell(args);
        const notebook = loaded();
        if (notebook !== null) {
          await insertCell(
            notebook,
            indexOf(notebook, cell) + 1,
            explainSource(cell)
          );
        }
      }
    });
    bridges.changed.connect(() =>
      app.commands.notifyCommandChanged(EXPLAIN_ERROR)
    );
    palette?.addItem({
      command: EXPLAIN_ERROR,
      category: trans.__('Workers AI')
    });

    const offer = async (
      notebook: Notebook,
      cell: Cell,
      follower: Follower
    ): Promise<void> => {
      const { attachButton, ExplainButton, isExplainable } =
        await import('./button');
      if (!follower.bridge || !isExplainable(cell)) {
        follower.dispose();
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
        new ExplainButton(cell, follower, label, () => void explain())
      );
    };
    NotebookActions.executed.connect((_, { notebook, cell, success }) => {
      const session = tracker.find(
        ({ content }) => content === notebook
      )?.sessionContext;
      if (!success && session && bridges.of(session) && isWritable(notebook)) {
        void offer(notebook, cell, new Follower(bridges, () => session));
      }
    });
  }
};

/** Return the index of the cell with this execution count, or of the current cell. */
function indexOf(notebook: Notebook, number: number | null): number {
  const index = notebook.widgets.findIndex(
    ({ model }) =>
      number !== null && (model as ICodeCellModel).executionCount === number
  );
  return index < 0 ? notebook.activeCellIndex : index;
}

export default plugin;
