import { ISessionContext } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
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

/** Follows a notebook, or one after the other: its bridge, and what that tells. */
export class Follower {
  constructor(
    private readonly _bridges: IBridges,
    private readonly _session: () => ISessionContext | null
  ) {
    _bridges.changed.connect(this.follow, this);
    this.follow();
  }

  /** Whenever the bridge is another, or what it tells. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get bridge(): Bridge | null {
    return this._bridge;
  }

  /** Look which bridge it is now. */
  follow(): void {
    const session = this._session();
    const bridge = session && this._bridges.of(session);
    if (bridge !== this._bridge) {
      this._bridge?.changed.disconnect(this._tell, this);
      this._bridge = bridge;
      bridge?.changed.connect(this._tell, this);
    }
    this._tell();
  }

  dispose(): void {
    this._bridges.changed.disconnect(this.follow, this);
    this._bridge?.changed.disconnect(this._tell, this);
    Signal.clearData(this);
  }

  private _tell(): void {
    this._changed.emit();
  }

  private _bridge: Bridge | null = null;
  private readonly _changed = new Signal<this, void>(this);
}

/** Follow the notebook in front. */
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
