import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { CodeCell } from '@jupyterlab/cells';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import {
  ITranslator,
  nullTranslator,
  TranslationBundle
} from '@jupyterlab/translation';
import { stopIcon } from '@jupyterlab/ui-components';

import { attachButtons, CellButtons, createButton } from '../cellButtons';
import { ClientTracker, IKernelClients } from '../kernelClient';

/**
 * Shows a Stop button below the running cell while its kernel waits for an answer. Only kernels that
 * Jupyter can't interrupt, those in the browser, ask for it.
 */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'cfai-magics:stop',
  description: 'Shows a button that stops an answer in a browser kernel.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [IKernelClients, ITranslator],
  activate: (
    _: JupyterFrontEnd,
    tracker: INotebookTracker,
    clients: IKernelClients | null,
    translator: ITranslator | null
  ): void => {
    if (clients === null) {
      return;
    }
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    const follow = (panel: NotebookPanel): void => {
      const clientTracker = new ClientTracker(
        clients,
        () => panel.sessionContext
      );
      const stopper = new Stopper(panel, clientTracker, trans);
      panel.disposed.connect(() => {
        clientTracker.dispose();
        stopper.dispose();
      });
    };
    tracker.forEach(follow);
    tracker.widgetAdded.connect((_, panel) => follow(panel));
  }
};

/** Shows the button of one notebook. */
class Stopper {
  constructor(
    private readonly _panel: NotebookPanel,
    private readonly _clientTracker: ClientTracker,
    private readonly _trans: TranslationBundle
  ) {
    _clientTracker.changed.connect(this._update, this);
    this._update();
  }

  dispose(): void {
    this._button?.dispose();
  }

  private _update(): void {
    const { client } = this._clientTracker;
    const cell = client?.isActive ? runningCell(this._panel) : null;
    if (cell && this._button?.parent === cell) {
      return;
    }
    this._button?.dispose();
    this._button = null;
    if (cell) {
      this._button = createStopButton(this._trans, () => client?.stop());
      attachButtons(cell, this._button);
    }
  }

  private _button: CellButtons | null = null;
}

/** Return the button, which is disabled after a click until the kernel has stopped. */
function createStopButton(
  trans: TranslationBundle,
  stop: () => void
): CellButtons {
  const button = createButton(stopIcon, trans.__('Stop'), () => {
    button.disabled = true;
    stop();
  });
  return new CellButtons([button]);
}

/** Return the cell that the kernel runs: of all that were sent to it, the first. */
function runningCell({ content }: NotebookPanel): CodeCell | null {
  const sent = content.widgets
    .filter(cell => cell instanceof CodeCell)
    .flatMap(cell => {
      const request = cell.outputArea.future;
      return cell.model.executionState === 'running' && request
        ? [{ cell, date: request.msg.header.date }]
        : [];
    })
    .sort((a, b) => a.date.localeCompare(b.date));
  return sent[0]?.cell ?? null;
}

export default plugin;
