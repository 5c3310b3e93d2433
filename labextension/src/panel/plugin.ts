import {
  ILabShell,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import { ICodeCellModel } from '@jupyterlab/cells';
import { ILauncher } from '@jupyterlab/launcher';
import {
  INotebookModel,
  INotebookTracker,
  NotebookPanel
} from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { ToolbarButton } from '@jupyterlab/ui-components';
import { ReadonlyPartialJSONValue } from '@lumino/coreutils';

import { IKernelClients } from '../kernelClient';
import { activeNotebook, WIDGET_VIEW } from '../notebook';
import { cfaiIcon } from '../ui';
import type { Area, PanelDock } from './dock';

const STATE = 'application/vnd.jupyter.widget-state+json';
const PANEL_CLASS = 'cfai-panel';
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
    // ipywidgets has connected its own slot, which runs first, before the kernel gets a client.
    clients.changed.connect(() =>
      tracker.forEach(({ context, sessionContext }) => {
        if (clients.of(sessionContext)) {
          context.saveState.connect(onSaveState);
        }
      })
    );
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

/** The state of each widget of a notebook, by the ID of its model. */
interface IWidgetStates {
  [id: string]: { state: { _dom_classes?: string[] } };
}

/**
 * Leave the panel out of the file if JupyterLab saves widget state, which includes the widgets that
 * no output shows.
 */
function onSaveState({ model }: NotebookPanel['context'], state: string): void {
  const widgets = model.getMetadata('widgets') as
    { [STATE]?: { state: IWidgetStates } } | undefined;
  const states = widgets?.[STATE]?.state;
  if (state !== 'started' || !states) {
    return;
  }
  const shown = findShownWidgets(model);
  for (const [id, { state }] of Object.entries(states)) {
    if (state._dom_classes?.includes(PANEL_CLASS)) {
      const panel = findConnectedWidgets(states, id);
      if (![...panel].some(part => shown.has(part))) {
        panel.forEach(part => delete states[part]);
      }
    }
  }
  if (Object.keys(states).length > 0) {
    model.setMetadata('widgets', widgets);
  } else {
    model.deleteMetadata('widgets');
  }
}

/** Return the IDs of the widgets that outputs show. */
function findShownWidgets(model: INotebookModel): Set<string> {
  const ids = new Set<string>();
  for (const cell of model.cells) {
    const outputs = (cell as Partial<ICodeCellModel>).outputs;
    for (let index = 0; index < (outputs?.length ?? 0); index++) {
      const view = outputs?.get(index).data[WIDGET_VIEW] as
        { model_id: string } | undefined;
      if (view) {
        ids.add(view.model_id);
      }
    }
  }
  return ids;
}

/** Return the ID of a widget, and of all widgets that it refers to or that refer to it. */
function findConnectedWidgets(states: IWidgetStates, id: string): Set<string> {
  const references = Object.entries(states).map(([id, { state }]) => [
    id,
    ...Array.from(
      JSON.stringify(state).matchAll(/IPY_MODEL_(\w+)/g),
      match => match[1]
    )
  ]);
  const connected = new Set([id]);
  let size = 0;
  while (size < connected.size) {
    size = connected.size;
    references
      .filter(ids => ids.some(id => connected.has(id)))
      .forEach(ids => ids.forEach(id => connected.add(id)));
  }
  return connected;
}

export default plugin;
