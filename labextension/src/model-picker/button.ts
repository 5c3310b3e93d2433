import { ISessionContext } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { ClientTracker, IKernelClients } from '../kernelClient';
import { shortName } from '../models';
import { button } from '../ui';
import type { ModelList } from './list';

/** The model picker in a notebook toolbar; hidden if the kernel has not loaded the extension. */
export class PickerButton extends Widget {
  constructor(
    session: ISessionContext,
    clients: IKernelClients,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-CfaiPicker');
    this._button = button(
      'jp-CfaiPicker-button',
      '',
      () => void this._toggle()
    );
    this._button.setAttribute('aria-haspopup', 'dialog');
    this._button.setAttribute('aria-expanded', 'false');
    this._button.title = _trans.__(
      'Default model of this kernel, for cells that do not select a model'
    );
    this.node.append(this._button);
    // The toolbar of JupyterLab 4.2 moves the focus to the notebook after a click, which would
    // close the list.
    this.node.addEventListener('click', event => event.stopPropagation());
    this._clientTracker = new ClientTracker(clients, () => session);
    this._clientTracker.changed.connect(this._show, this);
    this._show();
  }

  override dispose(): void {
    this._clientTracker.dispose();
    super.dispose();
  }

  private _show(): void {
    const state = this._clientTracker.client?.state ?? null;
    this.setHidden(state === null);
    if (state !== null) {
      this._button.textContent = shortName(state.model);
      this._button.setAttribute(
        'aria-label',
        this._trans.__('Model: %1', shortName(state.model))
      );
    }
  }

  private async _toggle(): Promise<void> {
    const { ModelList } = await import('./list');
    const { client } = this._clientTracker;
    if (this._list && !this._list.isDisposed) {
      this._list.dispose();
    } else if (client) {
      this._list = new ModelList(this._button, client, this._trans);
      this._list.open();
    }
  }

  private readonly _button: HTMLButtonElement;
  private readonly _clientTracker: ClientTracker;
  private _list: ModelList | null = null;
}
