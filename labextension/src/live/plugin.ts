import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Cell, CodeCell } from '@jupyterlab/cells';
import { INotebookTracker, NotebookActions } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { followCurrent, IBridges } from '../bridges';
import { isQuestion } from '../magic';
import type { AnswerFollower } from './answer';

const ID = 'cfai-magics:live';

/** Answers and the counter for screen readers: finished sentences, and thresholds that are passed. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Tells screen readers of answers and of the counter.',
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
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    const start = async (): Promise<void> => {
      const settings = await registry?.load(ID);
      const { Region } = await import('./region');
      const region = new Region(trans.__('Answers of models'));
      const tell = (lines: readonly string[]): void => {
        if (settings?.composite.enabled !== false) {
          region.tell(lines);
        }
      };
      await tellAnswers(tell);
      if (bridges !== null) {
        const { Thresholds } = await import('./thresholds');
        const follower = followCurrent(tracker, bridges);
        const thresholds = new Thresholds(trans);
        follower.changed.connect(() => {
          const day = follower.bridge?.state?.day;
          const line = day && thresholds.next(day);
          if (line) {
            tell([line]);
          }
        });
      }
    };
    void start();
  }
};

async function tellAnswers(
  tell: (lines: readonly string[]) => void
): Promise<void> {
  const { AnswerFollower } = await import('./answer');
  const followed = new Map<Cell, AnswerFollower>();
  NotebookActions.executionScheduled.connect((_, { cell }) => {
    followed.get(cell)?.end();
    followed.delete(cell);
    if (cell instanceof CodeCell && isAsked(cell)) {
      followed.set(cell, new AnswerFollower(cell, tell));
    }
  });
  NotebookActions.executed.connect((_, { cell }) => {
    followed.get(cell)?.end();
    followed.delete(cell);
  });
}

function isAsked({ model }: CodeCell): boolean {
  return isQuestion(model.sharedModel.getSource());
}

export default plugin;
