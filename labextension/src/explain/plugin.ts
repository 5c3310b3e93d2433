import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { Cell, CodeCell, ICodeCellModel } from '@jupyterlab/cells';
import {
  INotebookTracker,
  Notebook,
  NotebookActions,
  NotebookPanel
} from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { attachButtons, CellButtons, createButton } from '../cellButtons';
import {
  buildErrorCell,
  ErrorCommand,
  EXPLAIN_ARGS_SCHEMA,
  isCfaiSource,
  parseExplainArgs
} from '../cellSource';
import { ClientTracker, IKernelClients } from '../kernelClient';
import {
  insertAndRun,
  insertCell,
  isWritable,
  writableNotebook
} from '../notebook';
import { cfaiIcon } from '../ui';

const EXPLAIN_ERROR = 'cfai:explain-error';
const USER_INTERRUPT = 'KeyboardInterrupt';

/**
 * Adds a command that inserts `%cfai explain`, which the user can run, and buttons that insert and
 * run `%cfai explain` and `%cfai fix`. All need a kernel that has loaded the extension.
 */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'cfai-magics:explain',
  description: 'Adds a command and buttons that explain and fix errors.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [IKernelClients, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    clients: IKernelClients | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): void => {
    if (clients === null) {
      return;
    }
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    const enabledNotebook = (): Notebook | null => {
      const panel = writableNotebook(app.shell, tracker);
      return panel && clients.of(panel.sessionContext) ? panel.content : null;
    };
    app.commands.addCommand(EXPLAIN_ERROR, {
      label: trans.__('Workers AI: Explain the last error'),
      caption: trans.__('Insert a cell that explains the last error'),
      icon: cfaiIcon,
      describedBy: { args: EXPLAIN_ARGS_SCHEMA },
      isEnabled: () => enabledNotebook() !== null,
      execute: async args => {
        const cell = parseExplainArgs(args);
        const notebook = enabledNotebook();
        if (notebook !== null) {
          await insertCell(
            notebook,
            indexOf(notebook, cell) + 1,
            buildErrorCell('explain', cell)
          );
        }
      }
    });
    clients.changed.connect(() =>
      app.commands.notifyCommandChanged(EXPLAIN_ERROR)
    );
    palette?.addItem({
      command: EXPLAIN_ERROR,
      category: trans.__('Workers AI')
    });

    const labels: [ErrorCommand, string][] = [
      ['explain', trans.__('Explain with Workers AI')],
      ['fix', trans.__('Fix with Workers AI')]
    ];
    const showButtons = (
      panel: NotebookPanel,
      cell: Cell,
      clientTracker: ClientTracker
    ): void => {
      if (!clientTracker.client || !isExplainable(cell)) {
        clientTracker.dispose();
        return;
      }
      const run = (command: ErrorCommand): Promise<void> =>
        insertAndRun(
          panel,
          panel.content.widgets.indexOf(cell) + 1,
          buildErrorCell(command, cell.model.executionCount)
        );
      const buttons = labels.map(([command, label]) =>
        createButton(cfaiIcon, label, () => void run(command))
      );
      attachButtons(cell, new ErrorButtons(cell, clientTracker, buttons));
    };
    NotebookActions.executed.connect((_, { notebook, cell, success }) => {
      const panel = tracker.find(({ content }) => content === notebook);
      if (!panel || success || !isWritable(notebook)) {
        return;
      }
      const { sessionContext } = panel;
      if (clients.of(sessionContext)) {
        const current = new ClientTracker(clients, () => sessionContext);
        showButtons(panel, cell, current);
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

/**
 * The buttons below a failed cell. They are removed if the error is cleared, the cell runs again,
 * the kernel stops, or the kernel unloads the extension.
 */
class ErrorButtons extends CellButtons {
  constructor(
    cell: CodeCell,
    clientTracker: ClientTracker,
    buttons: readonly HTMLElement[]
  ) {
    super(buttons);
    this._cell = cell;
    this._clientTracker = clientTracker;
    const { client } = clientTracker;
    cell.model.outputs.changed.connect(this._onOutputs, this);
    clientTracker.changed.connect(() => {
      if (clientTracker.client !== client) {
        this.dispose();
      }
    });
  }

  override dispose(): void {
    this._clientTracker.dispose();
    super.dispose();
  }

  private _onOutputs(): void {
    if (!showsError(this._cell)) {
      this.dispose();
    }
  }

  private readonly _cell: CodeCell;
  private readonly _clientTracker: ClientTracker;
}

/** Return true for a cell with an error of user code, not of a %%cfai or %cfai command. */
function isExplainable(cell: Cell): cell is CodeCell {
  return (
    cell instanceof CodeCell &&
    cell.model.executionCount !== null &&
    showsError(cell) &&
    !isCfaiSource(cell.model.sharedModel.getSource())
  );
}

/** Return true if a cell shows an error other than an interrupt by the user. */
function showsError({ model }: CodeCell): boolean {
  return model.outputs
    .toJSON()
    .some(
      output =>
        output.output_type === 'error' && output.ename !== USER_INTERRUPT
    );
}

export default plugin;
