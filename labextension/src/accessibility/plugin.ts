import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Cell, CodeCell } from '@jupyterlab/cells';
import { INotebookTracker, NotebookActions } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { isCfaiCell } from '../cellSource';
import { IKernelClients, trackCurrent } from '../kernelClient';
import { followEnabled } from '../ui';
import type { AnswerAnnouncer } from './announcements';

const ID = 'cfai-magics:live';

/** Announces complete sentences of answers, and usage thresholds, to screen readers. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Announces answers and the neuron counter to screen readers.',
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
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    const start = async (): Promise<void> => {
      let isEnabled = false;
      await followEnabled(registry, ID, value => {
        isEnabled = value;
      });
      const { AnswerAnnouncer, LiveRegion, ThresholdAnnouncer } =
        await import('./announcements');
      const region = new LiveRegion(trans.__('Model answers'));
      const announce = (lines: readonly string[]): void => {
        if (isEnabled) {
          region.announce(lines);
        }
      };
      followAnswers(cell => new AnswerAnnouncer(cell, announce));
      if (clients !== null) {
        const clientTracker = trackCurrent(tracker, clients);
        const announcer = new ThresholdAnnouncer(trans);
        clientTracker.changed.connect(() => {
          const day = clientTracker.client?.state?.day;
          const line = day && announcer.update(day);
          if (line) {
            announce([line]);
          }
        });
      }
    };
    void start();
  }
};

/** Create an announcer for each prompt cell that runs; end it when the cell has finished. */
function followAnswers(
  createAnnouncer: (cell: CodeCell) => AnswerAnnouncer
): void {
  const announcers = new Map<Cell, AnswerAnnouncer>();
  NotebookActions.executionScheduled.connect((_, { cell }) => {
    announcers.get(cell)?.end();
    announcers.delete(cell);
    if (cell instanceof CodeCell && isPromptCell(cell)) {
      announcers.set(cell, createAnnouncer(cell));
    }
  });
  NotebookActions.executed.connect((_, { cell }) => {
    announcers.get(cell)?.end();
    announcers.delete(cell);
  });
}

function isPromptCell({ model }: CodeCell): boolean {
  return isCfaiCell(model.sharedModel.getSource());
}

export default plugin;
