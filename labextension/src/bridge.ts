import {
  PartialJSONObject,
  PartialJSONValue,
  PromiseDelegate,
  UUID
} from '@lumino/coreutils';
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { FromKernel, IQuestions, IState, read, VERSION } from './protocol';

/** What a bridge needs of a comm. */
export interface IComm {
  send(data: PartialJSONObject): unknown;
}

/** The kernel understood, and would not. */
export class Refused extends Error {}

/** This page's end of the comm with one kernel: the state as it was told last, and questions. */
export class Bridge implements IDisposable {
  constructor(
    private readonly _comm: IComm,
    private readonly _warn: (line: string) => void
  ) {}

  /** Whenever the state is another, and at the end. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What the kernel told last; null before it did. */
  get state(): IState | null {
    return this._state;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Ask the kernel to tell its state, now and whenever it changes. */
  greet(): void {
    this._comm.send({ version: VERSION, type: 'hello' });
  }

  /** Ask a question; Refused where the kernel would not, or is gone. */
  ask<T extends keyof IQuestions>(
    type: T,
    asks: IQuestions[T]['asks']
  ): Promise<IQuestions[T]['tells']> {
    const id = UUID.uuid4();
    const answer = new PromiseDelegate<IQuestions[T]['tells']>();
    this._asked.set(id, answer);
    this._comm.send({ ...asks, version: VERSION, type, id });
    return answer.promise;
  }

  /** Take in what came over the comm; all pages get the answers to all of them. */
  receive(data: PartialJSONValue | undefined): void {
    const message = read(data);
    if (message !== null) {
      this._take(message);
    } else if (!this._warned) {
      this._warned = true;
      this._warn(
        `cfai-magics: what the kernel tells is not of version ${VERSION}: it is ignored. Install the same cfai-magics for JupyterLab and for the kernel.`
      );
    }
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._state = null;
    this._asked.forEach(answer =>
      answer.reject(new Refused('The kernel is gone'))
    );
    this._asked.clear();
    this._changed.emit();
    Signal.clearData(this);
  }

  private _take(message: FromKernel): void {
    if (message.type === 'state') {
      this._state = message;
      this._changed.emit();
    } else if (message.type !== 'hello') {
      const answer = this._asked.get(message.id);
      this._asked.delete(message.id);
      if (message.type === 'refused') {
        answer?.reject(new Refused(message.why));
      } else {
        answer?.resolve(message);
      }
    }
  }

  private readonly _asked = new Map<string, PromiseDelegate<object>>();
  private readonly _changed = new Signal<this, void>(this);
  private _isDisposed = false;
  private _state: IState | null = null;
  private _warned = false;
}
