import { Cell } from '@jupyterlab/cells';
import { INotebookTracker } from '@jupyterlab/notebook';
import { TranslationBundle } from '@jupyterlab/translation';

import { isCfaiCell } from '../cellSyntax';
import { formatNeurons } from '../dayUsage';
import { ClientTracker, KernelClient } from '../kernelClient';
import { IEstimate, IModel } from '../protocol';
import {
  hasExpressions,
  namesModel,
  toEstimateRequest
} from './estimateRequest';

const PAUSE = 300; // ms after the last keystroke

/** Shows the estimated cost of the current cell in its corner, if it is a %%cfai cell. */
export class Estimator {
  constructor(
    private readonly _tracker: INotebookTracker,
    private readonly _clientTracker: ClientTracker,
    private readonly _trans: TranslationBundle
  ) {
    this._label.className = 'jp-CfaiEstimate';
    this._label.title = _trans.__(
      'Estimated cost. Low: short answer. High: answer as long as max_tokens allows. Variables and earlier turns are not included.'
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
    window.clearTimeout(this._timer);
    this._timer = window.setTimeout(() => void this._estimate(), pause);
  }

  private async _estimate(): Promise<void> {
    const number = ++this._number;
    const cell = this._cell;
    const estimate = cell && (await this._request(cell));
    if (number !== this._number) {
      return;
    }
    if (estimate) {
      const source = cell.model.sharedModel.getSource();
      this._label.textContent = this._format(estimate, hasExpressions(source));
      cell.inputArea?.node.append(this._label);
    } else {
      this._label.remove();
    }
  }

  private async _request(cell: Cell): Promise<IEstimate | null> {
    const { client } = this._clientTracker;
    const source = cell.isDisposed ? '' : cell.model.sharedModel.getSource();
    if (!this._enabled || !client?.state || !isCfaiCell(source)) {
      return null;
    }
    try {
      const models = namesModel(source) ? await this._models(client) : [];
      const sizes = toEstimateRequest(source, models);
      return sizes && (await client.request('estimate', sizes));
    } catch {
      return null; // the kernel reports errors in the line when the cell runs
    }
  }

  private _models(client: KernelClient): Promise<readonly IModel[]> {
    const cached = this._modelLists.get(client);
    if (cached) {
      return cached;
    }
    const request = client.request('models', {}).then(({ models }) => models);
    this._modelLists.set(client, request);
    return request;
  }

  private _format({ low, high }: IEstimate, withoutValues: boolean): string {
    const trans = this._trans;
    if (low === null || high === null) {
      return trans.__('price unknown');
    }
    if (high === 0) {
      return trans.__('0 neurons');
    }
    const [least, most] = [formatNeurons(low), formatNeurons(high)];
    return withoutValues
      ? trans.__('≈ %1 to %2 neurons, without {{…}}', least, most)
      : trans.__('≈ %1 to %2 neurons', least, most);
  }

  private _cell: Cell | null = null;
  private _enabled = true;
  private readonly _label = document.createElement('div');
  private readonly _modelLists = new WeakMap<
    KernelClient,
    Promise<readonly IModel[]>
  >();
  private _model: string | undefined;
  private _number = 0;
  private _timer = 0;
}
