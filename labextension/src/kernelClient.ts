import { ISessionContext } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { TranslationBundle } from '@jupyterlab/translation';
import {
  PartialJSONObject,
  PartialJSONValue,
  PromiseDelegate,
  Token,
  UUID
} from '@lumino/coreutils';
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { BrowserKernel } from './browserKernel';
import { parseMessage } from './parseMessage';
import { FromKernel, IRequests, IState, VERSION } from './protocol';

/** The part of a comm that a client uses. */
export interface IComm {
  send(data: PartialJSONObject): unknown;
}

/** The kernel refused a request, or the connection to it has ended. */
export class KernelRequestError extends Error {}

/** The page side of the comm with one kernel: the last received state, and requests. */
export class KernelClient implements IDisposable {
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

  /** Whether the kernel waits for something that `stop` ends. */
  get isActive(): boolean {
    return this._isActive;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** End what the kernel waits for, as an interrupt does. */
  stop(): void {
    this._browserKernel?.stop();
  }

  /** Request the state of the kernel, now and after each change, and send the language. */
  sendHello(): void {
    this._comm.send({ version: VERSION, type: 'hello', locale: this._locale });
  }

  /** Send a request; rejects with KernelRequestError if the kernel refuses it or disconnects. */
  request<T extends keyof IRequests>(
    type: T,
    content: IRequests[T]['request']
  ): Promise<IRequests[T]['response']> {
    const id = UUID.uuid4();
    const reply = new PromiseDelegate<IRequests[T]['response']>();
    this._pending.set(id, reply);
    this._comm.send({ ...content, version: VERSION, type, id });
    return reply.promise;
  }

  /** Handle a message of the comm. Each page receives the replies to all pages. */
  receive(data: PartialJSONValue | undefined): void {
    const message = parseMessage(data);
    if (message !== null) {
      this._handle(message);
    } else if (!this._hasWarned) {
      this._hasWarned = true;
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
    this._isActive = false;
    this._state = null;
    this._browserKernel?.dispose();
    this._pending.forEach(reply =>
      reply.reject(
        new KernelRequestError(
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
    } else if (message.type === 'active') {
      this._isActive = message.active;
      this._changed.emit();
    } else if (message.type === 'hello') {
      this._browserKernel?.dispose();
      this._browserKernel =
        message.channel === undefined
          ? null
          : new BrowserKernel(message.channel);
    } else {
      const reply = this._pending.get(message.id);
      this._pending.delete(message.id);
      if (message.type === 'refused') {
        reply?.reject(new KernelRequestError(message.why));
      } else {
        reply?.resolve(message);
      }
    }
  }

  private readonly _pending = new Map<string, PromiseDelegate<object>>();
  private readonly _changed = new Signal<this, void>(this);
  private _isActive = false;
  private _isDisposed = false;
  private _state: IState | null = null;
  private _browserKernel: BrowserKernel | null = null;
  private _hasWarned = false;
}

/** The clients of all notebooks that are open in this page. */
export interface IKernelClients {
  /** Return the client of a notebook's kernel; null if it has not loaded the extension. */
  of(session: ISessionContext): KernelClient | null;
  /** Emitted when a kernel gets or loses its client. */
  readonly changed: ISignal<IKernelClients, void>;
}

export const IKernelClients = new Token<IKernelClients>(
  'cfai-magics:IKernelClients',
  'Provides the usage and the models of the kernels of open notebooks.'
);

export const LOAD_EXTENSION = '%load_ext cfai_magics';

/**
 * Load the extension in the kernel of a notebook, without a cell and without history. A busy kernel
 * loads it before it runs the cells that are queued later.
 */
export async function loadExtension(
  session: ISessionContext,
  trans: TranslationBundle
): Promise<void> {
  await session.ready;
  const kernel = session.session?.kernel;
  if (!kernel) {
    throw new Error(
      trans.__('This notebook has no kernel. Select a kernel, then try again.')
    );
  }
  const { content } = await kernel.requestExecute({
    code: LOAD_EXTENSION,
    silent: true,
    store_history: false,
    stop_on_error: false
  }).done;
  if (content.status !== 'ok') {
    const reason = content.status === 'error' ? content.evalue : content.status;
    throw new Error(trans.__('The kernel cannot load cfai_magics: %1', reason));
  }
}

/** Tracks the client of a notebook and its state; the notebook can change. */
export class ClientTracker {
  constructor(
    private readonly _clients: IKernelClients,
    private readonly _session: () => ISessionContext | null
  ) {
    _clients.changed.connect(this.update, this);
    this.update();
  }

  /** Emitted when the client or its state changes. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get client(): KernelClient | null {
    return this._client;
  }

  /** Update the client. */
  update(): void {
    const session = this._session();
    const client = session && this._clients.of(session);
    if (client !== this._client) {
      this._client?.changed.disconnect(this._emitChanged, this);
      this._client = client;
      client?.changed.connect(this._emitChanged, this);
    }
    this._emitChanged();
  }

  dispose(): void {
    this._clients.changed.disconnect(this.update, this);
    this._client?.changed.disconnect(this._emitChanged, this);
    Signal.clearData(this);
  }

  private _emitChanged(): void {
    this._changed.emit();
  }

  private _client: KernelClient | null = null;
  private readonly _changed = new Signal<this, void>(this);
}

/** Return a tracker of the client of the current notebook. */
export function trackCurrent(
  tracker: INotebookTracker,
  clients: IKernelClients
): ClientTracker {
  const clientTracker = new ClientTracker(
    clients,
    () => tracker.currentWidget?.sessionContext ?? null
  );
  tracker.currentChanged.connect(clientTracker.update, clientTracker);
  return clientTracker;
}
