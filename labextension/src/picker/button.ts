import { ISessionContext } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { Follower, IBridges } from '../bridges';
import { button } from '../dom';
import { short } from '../format';
import type { ModelList } from './list';

/** The model in use, in the toolbar of a notebook; gone while its kernel has no bridge. */
export class PickerButton extends Widget {
  constructor(
    session: ISessionContext,
    bridges: IBridges,
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
      'Model that is asked where a cell names none'
    );
    this.node.append(this._button);
    // At a click that leaves the focus elsewhere, a toolbar of JupyterLab 4.2 hands it to the
    // notebook: away from the list, which would close.
    this.node.addEventListener('click', event => event.stopPropagation());
    this._follower = new Follower(bridges, () => session);
    this._follower.changed.connect(this._show, this);
    this._show();
  }

  override dispose(): void {
    this._follower.dispose();
    super.dispose();
  }

  private _show(): void {
    const state = this._follower.bridge?.state ?? null;
    this.setHidden(state === null);
    if (state !== null) {
      this._button.textContent = short(state.model);
      this._button.setAttribute(
        'aria-label',
        this._trans.__('Model: %1', short(state.model))
      );
    }
  }

  private async _toggle(): Promise<void> {
    const { ModelList } = await import('./list');
    const { bridge } = this._follower;
    if (this._list && !this._list.isDisposed) {
      this._list.dispose();
    } else if (bridge) {
      this._list = new ModelList(this._button, bridge, this._trans);
      this._list.open();
    }
  }

  private readonly _button: HTMLButtonElement;
  private readonly _follower: Follower;
  private _list: ModelList | null = null;
}
