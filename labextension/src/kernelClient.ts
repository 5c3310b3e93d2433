import { ISessionContext } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import {
  PartialJSONObject,
  PartialJSONValue,
  PromiseDelegate,
  Token,
  UUID
} from '@lumino/coreutils';
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { FromKernel, IQuestions, IState, read, VERSION } from './protocol';

/** The part of a comm that a bridge uses. */
export interface IComm {
  send(data: PartialJSONObject): unknown;
}

/** The kernel refused a request, or the connection to it has ended. */
export class Refused extends Error {}

/** The page side of the comm with one kernel: the last received state, and requests. */
export class Bridge implements IDisposable {
  constructor(
    private readonly _comm: IComm,
    private readonly _locale: string,
    private readonly _warn: (line: string) => void
  ) {}

  /** Emitted when the state changes, and on disposal. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The last received state; null before the first one. */
  get state(): IState | null {
    return this._state;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Request the state of the kernel, now and after each change, and send the language. */
  greet(): void {
    this._comm.send({ version: VERSION, type: 'hello', locale: this._locale });
  }

  /** Send a request; rejects with Refused if the kernel refuses it or disconnects. */
  ask<T extends keyof IQuestions>(
    type: T,
    asks: IQuestions[T]['asks']
  ): Promise<IQuestions[T]['tells']> {
    const id = UUID.uuid4();
    const reply = new PromiseDelegate<IQuestions[T]['tells']>();
    this._pending.set(id, reply);
    this._comm.send({ ...asks, version: VERSION, type, id });
    return reply.promise;
  }

  /** Handle a message of the comm. Each page receives the replies to all pages. */
  receive(data: PartialJSONValue | undefined): void {
    const message = read(data);
    if (message !== null) {
      this._handle(message);
    } else if (!this._warned) {
      this._warned = true;
      this._warn(
        `cfai-magics: ignored a kernel message that does not follow protocol version ${VERSION}. Install the same version of cfai-magics for JupyterLab and for the kernel.`
      );
    }
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._state = null;
    this._pending.forEach(reply =>
      reply.reject(
        new Refused(
          'The kernel has stopped or unloaded cfai_magics. Run %load_ext cfai_magics, then try again.'
        )
      )
    );
    this._pending.clear();
    this._changed.emit();
    Signal.clearData(this);
  }

  private _handle(message: FromKernel): void {
    if (message.type === 'state') {
      this._state = message;
      this._changed.emit();
    } else if (message.type !== 'hello') {
      const reply = this._pending.get(message.id);
      this._pending.delete(message.id);
      if (message.type === 'refused') {
        reply?.reject(new Refused(message.why));
      } else {
        reply?.resolve(message);
      }
    }
  }

  private readonly _pending = new Map<string, PromiseDelegate<object>>();
  private readonly _changed = new Signal<this, void>(this);
  private _isDisposed = false;
  private _state: IState | null = null;
  private _warned = false;
}

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
