import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Cell, CodeCell } from '@jupyterlab/cells';
import { INotebookTracker, NotebookActions } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { isQuestion } from '../cellSyntax';
import { trackCurrent, IKernelClients } from '../kernelClient';
import type { AnswerFollower } from './announcements';

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
      const settings = await registry?.load(ID);
      const { Region } = await import('./announcements');
      const region = new Region(trans.__('Model answers'));
      const announce = (lines: readonly string[]): void => {
        if (settings?.composite.enabled !== false) {
          region.tell(lines);
        }
      };
      await announceAnswers(announce);
      if (clients !== null) {
        const { Thresholds } = await import('./announcements');
        const clientTracker = trackCurrent(tracker, clients);
        const thresholds = new Thresholds(trans);
        clientTracker.changed.connect(() => {
          const day = clientTracker.client?.state?.day;
          const line = day && thresholds.next(day);
          if (line) {
            announce([line]);
          }
        });
      }
    };
    void start();
  }
};

async function announceAnswers(
  announce: (lines: readonly string[]) => void
): Promise<void> {
  const { AnswerFollower } = await import('./announcements');
  const followers = new Map<Cell, AnswerFollower>();
  NotebookActions.executionScheduled.connect((_, { cell }) => {
    followers.get(cell)?.end();
    followers.delete(cell);
    if (cell instanceof CodeCell && isPromptCell(cell)) {
      followers.set(cell, new AnswerFollower(cell, announce));
    }
  });
  NotebookActions.executed.connect((_, { cell }) => {
    followers.get(cell)?.end();
    followers.delete(cell);
  });
}

function isPromptCell({ model }: CodeCell): boolean {
  return isQuestion(model.sharedModel.getSource());
}

export default plugin;
