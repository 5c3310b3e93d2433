import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { IKernelClients, trackCurrent } from '../kernelClient';

const ID = 'cfai-magics:estimate';

/** Shows the estimated cost of a %%cfai cell while you type. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Shows the estimated cost of a %%cfai cell while you type.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [IKernelClients, ISettingRegistry, ITranslator],
  activate: (
    _: JupyterFrontEnd,
    tracker: INotebookTracker,
    clients: IKernelClients | null,
    registry: ISettingRegistry | null,
    translator: ITranslator | null
  ): void => {
    if (clients === null) {
      return;
    }
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    const show = async (): Promise<void> => {
      const { Estimator } = await import('./estimator');
      const settings = await registry?.load(ID);
      const clientTracker = trackCurrent(tracker, clients);
      const estimator = new Estimator(tracker, clientTracker, trans);
      const follow = (): void => {
        estimator.enabled = settings?.composite.enabled !== false;
      };
      settings?.changed.connect(follow);
      follow();
    };
    void show();
  }
};

export default plugin;
