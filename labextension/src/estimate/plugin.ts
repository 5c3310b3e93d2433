import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { followCurrent, IBridges } from '../kernelClient';

const ID = 'cfai-magics:estimate';

/** Shows the estimated cost of a %%cfai cell while you type. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Shows the estimated cost of a %%cfai cell while you type.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [IBridges, ISettingRegistry, ITranslator],
  activate: (
    _: JupyterFrontEnd,
    tracker: INotebookTracker,
    bridges: IBridges | null,
    registry: ISettingRegistry | null,
    translator: ITranslator | null
  ): void => {
    if (bridges === null) {
      return;
    }
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    const show = async (): Promise<void> => {
      const { Estimator } = await import('./estimator');
      const settings = await registry?.load(ID);
      const follower = followCurrent(tracker, bridges);
      const estimator = new Estimator(tracker, follower, trans);
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
