import { Cell } from '@jupyterlab/cells';
import { INotebookTracker } from '@jupyterlab/notebook';
import { TranslationBundle } from '@jupyterlab/translation';

import { Bridge } from '../bridge';
import { Follower } from '../bridges';
import { element } from '../dom';
import { neurons } from '../format';
import { isQuestion } from '../magic';
import { IEstimate, IModel } from '../protocol';
import { asks, hasValues, namesModel } from './asks';

const PAUSE = 300; // ms without a key

/** Shows at the corner of the current cell, should it ask, what that may cost. */
export class Estimator {
  constructor(
    private readonly _tracker: INotebookTracker,
    private readonly _follower: Follower,
    private readonly _trans: TranslationBundle
  ) {
    this._label.title = _trans.__(
      'Estimated, from a short answer to the longest; what variables and earlier turns hold is not counted'
    );
    _tracker.activeCellChanged.connect(this._onCell, this);
    _follower.changed.connect(this._onState, this);
    this._onCell();
  }

  /** Off, nothing is shown and nothing asked. */
  set enabled(enabled: boolean) {
    this._enabled = enabled;
    this._soon(0);
  }

  private _onCell(): void {
    this._cell?.model?.contentChanged.disconnect(this._onContent, this);
    this._label.remove();
    this._cell = this._tracker.activeCell;
    this._cell?.model.contentChanged.connect(this._onContent, this);
    this._soon(0);
  }

  private _onContent(): void {
    this._soon(PAUSE);
  }

  /** Another model, another price; what an answer uses meanwhile changes nothing. */
  private _onState(): void {
    const model = this._follower.bridge?.state?.model;
    if (model !== this._model) {
      this._model = model;
      this._soon(0);
    }
  }

  private _soon(pause: number): void {
    window.clearTimeout(this._timer);
    this._timer = window.setTimeout(() => void this._estimate(), pause);
  }

  private async _estimate(): Promise<void> {
    const number = ++this._number;
    const cell = this._cell;
    const told = cell && (await this._asked(cell));
    if (number !== this._number) {
      return;
    }
    if (told) {
      const source = cell.model.sharedModel.getSource();
      this._label.textContent = this._text(told, hasValues(source));
      cell.inputArea?.node.append(this._label);
    } else {
      this._label.remove();
    }
  }

  private async _asked(cell: Cell): Promise<IEstimate | null> {
    const { bridge } = this._follower;
    const source = cell.isDisposed ? '' : cell.model.sharedModel.getSource();
    if (!this._enabled || !bridge?.state || !isQuestion(source)) {
      return null;
    }
    try {
      const models = namesModel(source) ? await this._models(bridge) : [];
      const sizes = asks(source, models);
      return sizes && (await bridge.ask('estimate', sizes));
    } catch {
      return null; // what is wrong with the line, the kernel says when it is run
    }
  }

  private _models(bridge: Bridge): Promise<readonly IModel[]> {
    const known = this._listed.get(bridge);
    if (known) {
      return known;
    }
    const asked = bridge.ask('models', {}).then(({ models }) => models);
    this._listed.set(bridge, asked);
    return asked;
  }

  private _text({ low, high }: IEstimate, withoutValues: boolean): string {
    const trans = this._trans;
    if (low === null || high === null) {
      return trans.__('no known price');
    }
    if (high === 0) {
      return trans.__('0 neurons');
    }
    const [least, most] = [neurons(low), neurons(high)];
    return withoutValues
      ? trans.__('≈ %1 to %2 neurons, without {{…}}', least, most)
      : trans.__('≈ %1 to %2 neurons', least, most);
  }

  private _cell: Cell | null = null;
  private _enabled = true;
  private readonly _label = element('div', 'jp-CfaiEstimate');
  private readonly _listed = new WeakMap<Bridge, Promise<readonly IModel[]>>();
  private _model: string | undefined;
  private _number = 0;
  private _timer = 0;
}
