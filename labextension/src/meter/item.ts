import { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { formatStatus, tooltip } from '../dayUsage';
import { ClientTracker } from '../kernelClient';
import { button } from '../ui';
import { Details } from './details';

/** The status bar item: shows the state of the current notebook's kernel. */
export class MeterItem extends Widget {
  constructor(
    private readonly _current: ClientTracker,
    private readonly _trans: TranslationBundle,
    private readonly _openPanel: (() => void) | null
  ) {
    super();
    this.addClass('jp-CfaiMeter');
    this._button = button('jp-CfaiMeter-button', '', () => this._toggle());
    this._button.setAttribute('aria-haspopup', 'dialog');
    this._button.setAttribute('aria-expanded', 'false');
    this.node.append(this._button);
    _current.changed.connect(this._show, this);
    this._show();
  }

  private _show(): void {
    const state = this._current.client?.state ?? null;
    if (state !== null) {
      const { level, text } = formatStatus(state, this._trans);
      this._button.textContent = text;
      this._button.dataset.level = level;
      this._button.title = tooltip(state, this._trans);
    }
  }

  private _toggle(): void {
    const { client } = this._current;
    if (this._details && !this._details.isDisposed) {
      this._details.dispose();
    } else if (client) {
      this._details = new Details(
        this._button,
        client,
        this._trans,
        this._openPanel
      );
      this._details.open();
    }
  }

  private readonly _button: HTMLButtonElement;
  private _details: Details | null = null;
}
