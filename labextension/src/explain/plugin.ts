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
import { PanelLayout, Widget } from '@lumino/widgets';

import {
  buildExplainCell,
  EXPLAIN_ARGS_SCHEMA,
  parseExplainArgs
} from '../cellSource';
import { isCfaiSource } from '../cellSyntax';
import { ClientTracker, IKernelClients } from '../kernelClient';
import { insertCell, isWritable, writableNotebook } from '../notebook';
import { cfaiIcon } from '../ui';

const EXPLAIN_ERROR = 'cfai:explain-error';
const USER_INTERRUPT = 'KeyboardInterrupt';

/**
 * Adds a command and a button that insert `%cfai explain`, which the user can run. Both need a
 * kernel that has loaded the extension.
 */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'cfai-magics:explain',
  description: 'Adds a command and a button that explain errors.',
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
      const session = tracker.currentWidget?.sessionContext;
      return session && clients.of(session) ? writableNotebook(tracker) : null;
    };
    app.commands.addCommand(EXPLAIN_ERROR, {
      label: trans.__('Explain the last error'),
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
            buildExplainCell(cell)
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

    const showButton = (
      notebook: Notebook,
      cell: Cell,
      clientTracker: ClientTracker
    ): void => {
      if (!clientTracker.client || !isExplainable(cell)) {
        clientTracker.dispose();
        return;
      }
      const explain = async (): Promise<void> => {
        const index = notebook.widgets.indexOf(cell) + 1;
        await insertCell(
          notebook,
          index,
          buildExplainCell(cell.model.executionCount)
        );
      };
      const label = trans.__('Explain with Workers AI');
      attachButton(
        cell,
        new ExplainButton(cell, clientTracker, label, () => void explain())
      );
    };
    NotebookActions.executed.connect((_, { notebook, cell, success }) => {
      const session = tracker.find(
        ({ content }) => content === notebook
      )?.sessionContext;
      if (!success && session && clients.of(session) && isWritable(notebook)) {
        showButton(notebook, cell, new ClientTracker(clients, () => session));
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
 * The button below a failed cell. It is removed if the error is cleared, the cell runs again, the
 * kernel stops, or the kernel unloads the extension.
 */
class ExplainButton extends Widget {
  constructor(
    cell: CodeCell,
    clientTracker: ClientTracker,
    label: string,
    onClick: () => void
  ) {
    super({ node: node(label, onClick) });
    this.addClass('jp-CfaiExplain');
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

/** Attach a button below the outputs of its cell. */
function attachButton(cell: CodeCell, button: ExplainButton): void {
  const layout = cell.layout as PanelLayout;
  layout.insertWidget(layout.widgets.length - 1, button);
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

function node(label: string, onClick: () => void): HTMLElement {
  const container = document.createElement('div');
  // Otherwise Enter starts editing the cell.
  container.setAttribute('data-lm-suppress-shortcuts', 'true');
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'jp-CfaiExplain-button';
  cfaiIcon.element({ container: button, tag: 'span' });
  button.append(label);
  button.addEventListener('click', onClick);
  container.append(button);
  return container;
}

export default plugin;
