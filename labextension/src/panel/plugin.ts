import {
  ILabShell,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { ToolbarButton } from '@jupyterlab/ui-components';
import { ReadonlyPartialJSONValue } from '@lumino/coreutils';

import { IKernelClients } from '../kernelClient';
import { activeNotebook } from '../notebook';
import { cfaiIcon } from '../ui';
import type { Area, PanelDock } from './dock';

const OPEN_PANEL = 'cfai:show-panel';
const OPEN_PANEL_ARGS = {
  type: 'object',
  properties: {
    cwd: {
      type: 'string',
      description:
        'Folder of the new notebook if no notebook is open, as the Launcher passes it'
    }
  },
  additionalProperties: false
};

/** Shows the panel in a side area, without a cell and without a trace in the notebook file. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'cfai-magics:panel',
  description: 'Shows the panel next to the notebook.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [
    IKernelClients,
    ILabShell,
    ICommandPalette,
    ILauncher,
    IToolbarWidgetRegistry,
    ITranslator
  ],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    clients: IKernelClients | null,
    labShell: ILabShell | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    toolbars: IToolbarWidgetRegistry | null,
    translator: ITranslator | null
  ): void => {
    if (clients === null) {
      return;
    }
    const { commands, shell } = app;
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    const label = trans.__('Workers AI: Open panel');
    const category = trans.__('Workers AI');
    const docks = new Map<NotebookPanel, PanelDock>();

    const open = async (notebook: NotebookPanel): Promise<void> => {
      const { PanelDock } = await import('./dock');
      if (notebook.isDisposed) {
        return;
      }
      const create = (area: Area): PanelDock => {
        const dock = new PanelDock(notebook, area, clients, trans);
        docks.set(notebook, dock);
        dock.disposed.connect(() => docks.delete(notebook));
        shell.add(dock, area, {
          mode: 'split-right',
          ref: notebook.id,
          rank: 500
        });
        return dock;
      };
      // It can be behind the Launcher.
      if (!notebook.isVisible) {
        shell.activateById(notebook.id);
      }
      // A split would hide the notebook in single-document mode. Notebook 7 has no splits.
      const area = labShell?.mode === 'multiple-document' ? 'main' : 'right';
      const previous = docks.get(notebook);
      if (previous && previous.area !== area) {
        previous.dispose();
      }
      const dock = docks.get(notebook) ?? create(area);
      shell.activateById(dock.id);
      await dock.load();
    };

    labShell?.modeChanged.connect(() => {
      for (const notebook of [...docks.keys()]) {
        void open(notebook);
      }
    });
    const createNotebook = async (
      cwd: ReadonlyPartialJSONValue
    ): Promise<NotebookPanel | undefined> =>
      (await commands.execute('notebook:create-new', { cwd })) as
        NotebookPanel | undefined;

    commands.addCommand(OPEN_PANEL, {
      label,
      caption: trans.__(
        "Show account, model and today's neurons next to the notebook"
      ),
      icon: cfaiIcon,
      describedBy: { args: OPEN_PANEL_ARGS },
      // The Launcher, which passes a folder, is itself the active tab.
      isEnabled: ({ cwd }) =>
        cwd !== undefined || activeNotebook(shell, tracker) !== null,
      execute: async ({ cwd }) => {
        const notebook =
          tracker.currentWidget ??
          (cwd !== undefined ? await createNotebook(cwd) : undefined);
        if (notebook) {
          await open(notebook);
        }
      }
    });
    palette?.addItem({ command: OPEN_PANEL, category });
    launcher?.add({ command: OPEN_PANEL, category });
    toolbars?.addFactory<NotebookPanel>(
      'Notebook',
      'cfai-panel',
      notebook =>
        new ToolbarButton({
          icon: cfaiIcon,
          tooltip: label,
          onClick: () => void open(notebook)
        })
    );
  }
};

export default plugin;
