import { ISessionContext } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { Token } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

import { Bridge } from './kernelClient';

/** The bridges of all notebooks that are open in this page. */
export interface IBridges {
  /** Return the bridge of a notebook's kernel; null if it has not loaded the extension. */
  of(session: ISessionContext): Bridge | null;
  /** Emitted when a kernel gets or loses its bridge. */
  readonly changed: ISignal<IBridges, void>;
}

export const IBridges = new Token<IBridges>(
  'cfai-magics:IBridges',
  'Provides the usage and the models of the kernels of open notebooks.'
);

/** Tracks the bridge of a notebook and its state; the notebook can change. */
export class Follower {
  constructor(
    private readonly _bridges: IBridges,
    private readonly _session: () => ISessionContext | null
  ) {
    _bridges.changed.connect(this.follow, this);
    this.follow();
  }

  /** Emitted when the bridge or its state changes. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get bridge(): Bridge | null {
    return this._bridge;
  }

  /** Update the bridge. */
  follow(): void {
    const session = this._session();
    const bridge = session && this._bridges.of(session);
    if (bridge !== this._bridge) {
      this._bridge?.changed.disconnect(this._emitChanged, this);
      this._bridge = bridge;
      bridge?.changed.connect(this._emitChanged, this);
    }
    this._emitChanged();
  }

  dispose(): void {
    this._bridges.changed.disconnect(this.follow, this);
    this._bridge?.changed.disconnect(this._emitChanged, this);
    Signal.clearData(this);
  }

  private _emitChanged(): void {
    this._changed.emit();
  }

  private _bridge: Bridge | null = null;
  private readonly _changed = new Signal<this, void>(this);
}

/** Return a follower of the current notebook. */
export function followCurrent(
  tracker: INotebookTracker,
  bridges: IBridges
): Follower {
  const follower = new Follower(
    bridges,
    () => tracker.currentWidget?.sessionContext ?? null
  );
  tracker.currentChanged.connect(follower.follow, follower);
  return follower;
}
