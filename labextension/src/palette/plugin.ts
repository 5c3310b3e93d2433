import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { Cell } from '@jupyterlab/cells';
import { INotebookTracker, Notebook } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import {
  buildCell,
  CELL_ARGS_SCHEMA,
  IQuotedText,
  parseCellArgs
} from '../cellSource';
import { IKernelClients } from '../kernelClient';
import { insertCell, runCommand, writableNotebook } from '../notebook';
import { cfaiIcon } from '../ui';

const NO_ARGUMENTS = {
  type: 'object',
  properties: {},
  additionalProperties: false
};

/** Adds commands that insert cells, also to the command palette. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'cfai-magics:palette',
  description: 'Adds commands that insert %%cfai cells.',
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
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    const addInsertCommand = (
      id: string,
      label: string,
      caption: string,
      select: (notebook: Notebook) => ISelection
    ): void => {
      app.commands.addCommand(id, {
        label,
        caption,
        icon: cfaiIcon,
        describedBy: { args: CELL_ARGS_SCHEMA },
        isEnabled: () => writableNotebook(tracker) !== null,
        execute: async args => {
          const notebook = writableNotebook(tracker);
          if (notebook !== null) {
            const { quotes, lastIndex } = select(notebook);
            const { source, cursor } = buildCell(parseCellArgs(args), quotes);
            await insertCell(notebook, lastIndex + 1, source, cursor);
          }
        }
      });
      palette?.addItem({ command: id, category: trans.__('Workers AI') });
    };
    addInsertCommand(
      'cfai:insert-cell',
      // The translator replaces %% with %.
      trans.__('Insert a %1 cell', '%%cfai'),
      trans.__('Insert a cell below that sends a prompt to a model'),
      notebook => ({ quotes: [], lastIndex: notebook.activeCellIndex })
    );
    addInsertCommand(
      'cfai:ask-about-selection',
      trans.__('Ask about the selection'),
      trans.__(
        'Insert a cell that asks a model about the selected text or cells'
      ),
      readSelection
    );
    const addRunCommand = (
      id: string,
      label: string,
      caption: string,
      command: string
    ): void => {
      app.commands.addCommand(id, {
        label,
        caption,
        icon: cfaiIcon,
        describedBy: { args: NO_ARGUMENTS },
        isEnabled: () => writableNotebook(tracker) !== null,
        execute: async () => {
          const panel = tracker.currentWidget;
          if (panel !== null && writableNotebook(tracker) !== null) {
            // The kernel reads the notebook file.
            await panel.context.save();
            const loaded = Boolean(clients?.of(panel.sessionContext));
            await runCommand(panel, command, loaded);
          }
        }
      });
      palette?.addItem({ command: id, category: trans.__('Workers AI') });
    };
    addRunCommand(
      'cfai:show-panel',
      trans.__('Open the panel'),
      trans.__(
        "Insert and run a cell with the panel: account, model and today's neurons"
      ),
      '%cfai panel'
    );
    addRunCommand(
      'cfai:estimate-notebook',
      trans.__('Estimate the cost of this notebook'),
      trans.__(
        'Insert and run a cell that estimates the cost of this notebook. Nothing is sent to a model.'
      ),
      '%cfai plan'
    );
  }
};

/** The selected texts of a notebook, and the index of the last selected cell. */
interface ISelection {
  readonly quotes: readonly IQuotedText[];
  readonly lastIndex: number;
}

/** Return the selected text of the edited cell, or the selected cells. */
function readSelection(notebook: Notebook): ISelection {
  const text = notebook.mode === 'edit' ? selectedText(notebook) : '';
  const quote = (cell: Cell, text: string): IQuotedText => ({
    text,
    // %%cfai works only in Python kernels.
    language: cell.model.type === 'code' ? 'python' : ''
  });
  if (notebook.activeCell && text.trim()) {
    return {
      quotes: [quote(notebook.activeCell, text)],
      lastIndex: notebook.activeCellIndex
    };
  }
  const cells = notebook.widgets.filter(cell =>
    notebook.isSelectedOrActive(cell)
  );
  return {
    quotes: cells
      .map(cell => quote(cell, cell.model.sharedModel.getSource()))
      .filter(({ text }) => text.trim()),
    lastIndex: notebook.widgets.indexOf(cells[cells.length - 1])
  };
}

function selectedText(notebook: Notebook): string {
  const editor = notebook.activeCell?.editor;
  if (!editor) {
    return '';
  }
  const { start, end } = editor.getSelection();
  const [from, to] = [editor.getOffsetAt(start), editor.getOffsetAt(end)];
  const source = editor.model.sharedModel.getSource();
  return source.slice(Math.min(from, to), Math.max(from, to));
}

export default plugin;
