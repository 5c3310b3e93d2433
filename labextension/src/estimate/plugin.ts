import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Cell } from '@jupyterlab/cells';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import {
  ITranslator,
  nullTranslator,
  TranslationBundle
} from '@jupyterlab/translation';

import { isCfaiCell } from '../cellSource';
import { formatNeurons } from '../dayUsage';
import {
  ClientTracker,
  IKernelClients,
  KernelClient,
  trackCurrent
} from '../kernelClient';
import { IEstimate } from '../protocol';
import { followEnabled } from '../ui';

const ID = 'cfai-magics:estimate';
const PAUSE = 500; // ms after the last keystroke

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
    const clientTracker = trackCurrent(tracker, clients);
    const estimator = new Estimator(tracker, clientTracker, trans);
    void followEnabled(registry, ID, isEnabled => {
      estimator.enabled = isEnabled;
    });
  }
};

/** Shows the estimated cost of the current cell below its editor, if it is a %%cfai cell. */
class Estimator {
  constructor(
    private readonly _tracker: INotebookTracker,
    private readonly _clientTracker: ClientTracker,
    private readonly _trans: TranslationBundle
  ) {
    this._label.className = 'jp-CfaiEstimate';
    // Not a live region: screen readers must not read it after each keystroke.
    this._label.setAttribute('role', 'note');
    this._label.title = _trans.__(
      'Estimated cost: first with answers of typical length, then with answers as long as max_tokens allows. Values of {{…}} and earlier turns are not included.'
    );
    _tracker.activeCellChanged.connect(this._onCell, this);
    _clientTracker.changed.connect(this._onState, this);
    this._onCell();
  }

  /** If false, no estimate is shown or requested. */
  set enabled(enabled: boolean) {
    this._enabled = enabled;
    this._schedule(0);
  }

  private _onCell(): void {
    this._cell?.model?.contentChanged.disconnect(this._onContent, this);
    this._label.remove();
    this._cell = this._tracker.activeCell;
    this._cell?.model.contentChanged.connect(this._onContent, this);
    this._schedule(0);
  }

  private _onContent(): void {
    this._schedule(PAUSE);
  }

  /** Update the estimate if the model changes; the usage does not change it. */
  private _onState(): void {
    const model = this._clientTracker.client?.state?.model;
    if (model !== this._model) {
      this._model = model;
      this._schedule(0);
    }
  }

  private _schedule(pause: number): void {
    this._isCurrent = false;
    window.clearTimeout(this._timer);
    this._timer = window.setTimeout(() => void this._update(), pause);
  }

  private async _update(): Promise<void> {
    const { client } = this._clientTracker;
    const cell = this._cell;
    const source = this._enabled ? sourceOf(cell) : null;
    if (!client?.state || source === null) {
      this._label.remove();
      return;
    }
    // A busy kernel answers later. Until then, it gets no second request.
    if (this._waiting.has(client)) {
      return;
    }
    this._waiting.add(client);
    this._isCurrent = true;
    const estimate = await requestEstimate(client, source);
    this._waiting.delete(client);
    if (this._isCurrent) {
      this._show(cell, estimate);
    } else {
      this._schedule(0);
    }
  }

  private _show(cell: Cell | null, estimate: IEstimate | null): void {
    const parent = cell?.inputArea?.parent?.node;
    if (estimate === null || !parent) {
      this._label.remove();
      return;
    }
    const text = this._format(estimate);
    // Replacing a text by the same text costs a layout of the page too.
    if (this._label.textContent !== text) {
      this._label.textContent = text;
    }
    if (this._label.parentElement !== parent) {
      parent.append(this._label);
    }
  }

  private _format({ typical, high, ...missing }: IEstimate): string {
    const trans = this._trans;
    if (typical === null || high === null) {
      return trans.__('price unknown');
    }
    if (high === 0) {
      return trans.__('0 neurons');
    }
    const cost = [formatNeurons(typical), formatNeurons(high)];
    if (missing.expressions && missing.history) {
      return trans.__(
        '≈ %1, at most %2 neurons, without {{…}} and earlier turns',
        ...cost
      );
    }
    if (missing.expressions) {
      return trans.__('≈ %1, at most %2 neurons, without {{…}}', ...cost);
    }
    return missing.history
      ? trans.__('≈ %1, at most %2 neurons, without earlier turns', ...cost)
      : trans.__('≈ %1, at most %2 neurons', ...cost);
  }

  private _cell: Cell | null = null;
  private _enabled = false;
  private _isCurrent = false;
  private readonly _label = document.createElement('div');
  private _model: string | undefined;
  private _timer = 0;
  private readonly _waiting = new Set<KernelClient>();
}

/** Return the source of a %%cfai cell; null for other cells. */
function sourceOf(cell: Cell | null): string | null {
  const source =
    cell && !cell.isDisposed ? cell.model.sharedModel.getSource() : '';
  return isCfaiCell(source) ? source : null;
}

async function requestEstimate(
  client: KernelClient,
  source: string
): Promise<IEstimate | null> {
  try {
    return (await client.request('estimate', { source })).estimate;
  } catch {
    return null; // the kernel has stopped
  }
}

export default plugin;
