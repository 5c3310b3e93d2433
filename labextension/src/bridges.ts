import { ISessionContext } from '@jupyterlab/apputils';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { Token } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

import { Bridge } from './bridge';

/** The bridges of all notebooks that are open in this page. */
export interface IBridges {
  /** The bridge of a notebook's kernel; null where that has not loaded the extension. */
  of(session: ISessionContext): Bridge | null;
  /** Whenever a kernel gets a bridge or loses it. */
  readonly changed: ISignal<IBridges, void>;
}

export const IBridges = new Token<IBridges>(
  'cfai-magics:IBridges',
  'What the kernels of open notebooks tell of neurons and models.'
);

/** Follows the notebook in front: its bridge, and what that tells. */
export class Current {
  constructor(
    private readonly _tracker: INotebookTracker,
    private readonly _bridges: IBridges
  ) {
    _tracker.currentChanged.connect(this._follow, this);
    _bridges.changed.connect(this._follow, this);
    this._follow();
  }

  /** Whenever another notebook is in front, or what its bridge tells is another. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get panel(): NotebookPanel | null {
    return this._tracker.currentWidget;
  }

  get bridge(): Bridge | null {
    return this._bridge;
  }

  private _follow(): void {
    const { panel } = this;
    const bridge = panel && this._bridges.of(panel.sessionContext);
    if (bridge !== this._bridge) {
      this._bridge?.changed.disconnect(this._tell, this);
      this._bridge = bridge;
      bridge?.changed.connect(this._tell, this);
    }
    this._tell();
  }

  private _tell(): void {
    this._changed.emit();
  }

  private _bridge: Bridge | null = null;
  private readonly _changed = new Signal<this, void>(this);
}
