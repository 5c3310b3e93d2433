import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { Cell } from '@jupyterlab/cells';
import {
  INotebookTracker,
  Notebook,
  NotebookPanel
} from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import {
  buildCell,
  CELL_ARGS_SCHEMA,
  IQuotedText,
  parseCellArgs
} from '../cellSource';
import { IKernelClients, LOAD_EXTENSION, loadExtension } from '../kernelClient';
import { insertAndRun, insertCell, writableNotebook } from '../notebook';
import { cfaiIcon } from '../ui';

const ESTIMATE_NOTEBOOK = 'cfai:estimate-notebook';
const PLAN = '%cfai plan';
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
    const isLoaded = ({ sessionContext }: NotebookPanel): boolean =>
      Boolean(clients?.of(sessionContext));
    const load = async (panel: NotebookPanel): Promise<void> => {
      try {
        await loadExtension(panel.sessionContext, trans);
      } catch (error) {
        if (!panel.isDisposed) {
          Notification.error((error as Error).message);
        }
      }
    };
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
        isEnabled: () => writableNotebook(app.shell, tracker) !== null,
        execute: async args => {
          const panel = writableNotebook(app.shell, tracker);
          if (panel !== null) {
            const { quotes, lastIndex } = select(panel.content);
            const { source, cursor } = buildCell(parseCellArgs(args), quotes);
            if (!isLoaded(panel)) {
              // The user can type in the new cell while the kernel is busy.
              void load(panel);
            }
            await insertCell(panel.content, lastIndex + 1, source, cursor);
          }
        }
      });
      palette?.addItem({ command: id, category: trans.__('Workers AI') });
    };
    addInsertCommand(
      'cfai:insert-cell',
      // The translator replaces %% with %.
      trans.__('Workers AI: Insert a %1 cell', '%%cfai'),
      trans.__('Insert a cell below that sends a prompt to a model'),
      notebook => ({ quotes: [], lastIndex: notebook.activeCellIndex })
    );
    addInsertCommand(
      'cfai:ask-about-selection',
      trans.__('Workers AI: Ask about the selection'),
      trans.__(
        'Insert a cell that asks a model about the selected text or cells'
      ),
      readSelection
    );
    app.commands.addCommand(ESTIMATE_NOTEBOOK, {
      label: trans.__('Workers AI: Estimate the cost of this notebook'),
      caption: trans.__(
        'Insert and run a cell that estimates the cost of this notebook. Nothing is sent to a model.'
      ),
      icon: cfaiIcon,
      describedBy: { args: NO_ARGUMENTS },
      isEnabled: () => writableNotebook(app.shell, tracker) !== null,
      execute: async () => {
        const panel = writableNotebook(app.shell, tracker);
        if (panel !== null) {
          // The kernel reads the notebook file.
          await panel.context.save();
          // JupyterLab ignores a cell that is run while the kernel is being connected. Only
          // `initialize` is resolved without a kernel, and only `ready` after an error.
          const { sessionContext } = panel;
          await Promise.race([
            sessionContext.ready,
            sessionContext.initialize()
          ]);
          await insertAndRun(
            panel,
            panel.content.activeCellIndex + 1,
            isLoaded(panel) ? PLAN : `${LOAD_EXTENSION}\n${PLAN}`
          );
        }
      }
    });
    palette?.addItem({
      command: ESTIMATE_NOTEBOOK,
      category: trans.__('Workers AI')
    });
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
