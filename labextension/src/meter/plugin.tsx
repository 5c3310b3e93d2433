import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { IKernelClients, trackCurrent } from '../kernelClient';

const ID = 'cfai-magics:meter';
const SHOW_PANEL = 'cfai:show-panel';

/** Shows today's neurons in the status bar, for the current notebook. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: "Shows today's neurons in the status bar.",
  autoStart: true,
  requires: [INotebookTracker],
  optional: [IKernelClients, IStatusBar, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    clients: IKernelClients | null,
    statusBar: IStatusBar | null,
    translator: ITranslator | null
  ): void => {
    if (!clients || !statusBar) {
      return;
    }
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    const show = async (): Promise<void> => {
      const { MeterItem } = await import('./item');
      const openPanel = app.commands.hasCommand(SHOW_PANEL)
        ? (): void => void app.commands.execute(SHOW_PANEL)
        : null;
      const current = trackCurrent(tracker, clients);
      const item = new MeterItem(current, trans, openPanel);
      statusBar.registerStatusItem(ID, {
        item,
        align: 'middle',
        rank: 10,
        isActive: () => Boolean(current.client?.state),
        activeStateChanged: current.changed
      });
    };
    void show();
  }
};

export default plugin;
