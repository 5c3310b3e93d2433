import { Kernel, KernelMessage } from '@jupyterlab/services';
import { JSONObject, PartialJSONValue } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

import { KernelClient } from '../kernelClient';
import { TARGET } from '../protocol';

const STOPPED_STATUSES = [
  'restarting',
  'autorestarting',
  'terminating',
  'dead'
];

/**
 * The comm with one kernel, over the connections of this page, one per notebook. It has a client
 * while the kernel has loaded the extension. The client uses the first open connection.
 */
export class KernelComm {
  constructor(
    private readonly _locale: string,
    private readonly _warn: (line: string) => void
  ) {}

  /** Emitted when the client is replaced or removed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get client(): KernelClient | null {
    return this._client;
  }

  /** Whether all connections are closed. */
  get isClosed(): boolean {
    return this._kernels.length === 0;
  }

  /** Add a connection to the kernel. */
  add(kernel: Kernel.IKernelConnection): void {
    if (this._kernels.includes(kernel)) {
      return;
    }
    this._kernels.push(kernel);
    kernel.iopubMessage.connect(this._onMessage, this);
    kernel.statusChanged.connect(this._onStatus, this);
    kernel.connectionStatusChanged.connect(this._onConnection, this);
    kernel.disposed.connect(this._onDisposed, this);
    if (kernel === this._kernels[0]) {
      void this._findComm(kernel);
    }
  }

  /** Find a comm that was opened before this page was loaded; only an idle kernel replies. */
  private async _findComm(kernel: Kernel.IKernelConnection): Promise<void> {
    let content: KernelMessage.ICommInfoReplyMsg['content'];
    try {
      ({ content } = await kernel.requestCommInfo({ target_name: TARGET }));
    } catch {
      return; // the connection is closed
    }
    if (content.status === 'ok' && TARGET in content.comms && !this._client) {
      this._openClient();
    }
  }

  /** A busy kernel does not reply to comm_info_request, but its comm messages arrive. */
  private _onMessage(
    kernel: Kernel.IKernelConnection,
    { header, content }: KernelMessage.IIOPubMessage
  ): void {
    const message = content as { comm_id?: string; data?: PartialJSONValue };
    if (message.comm_id !== TARGET || kernel !== this._kernels[0]) {
      return;
    }
    if (header.msg_type === 'comm_close') {
      this._closeClient();
    } else {
      (this._client ?? this._openClient()).receive(message.data);
    }
  }

  private _openClient(): KernelClient {
    this._closeClient();
    const client = new KernelClient(
      { send: data => this._send(data as JSONObject) },
      this._locale,
      this._warn
    );
    this._client = client;
    client.sendHello();
    this._changed.emit();
    return client;
  }

  private _send(data: JSONObject): void {
    const [kernel] = this._kernels;
    if (kernel?.handleComms) {
      this._commOf(kernel).send(data);
    } else if (kernel) {
      // JupyterLab handles comms on one connection per kernel only, so this builds the same message.
      const message = KernelMessage.createMessage<
        KernelMessage.ICommMsgMsg<'shell'>
      >({
        msgType: 'comm_msg',
        channel: 'shell',
        username: kernel.username,
        session: kernel.clientId,
        content: { comm_id: TARGET, data }
      });
      kernel.sendShellMessage(message);
    }
  }

  /** Return JupyterLab's comm: with it, a kernel with subshells replies while a cell runs. */
  private _commOf(kernel: Kernel.IKernelConnection): Kernel.IComm {
    const existing = this._comms.get(kernel);
    if (existing && !existing.isDisposed) {
      return existing;
    }
    const comm = kernel.createComm(TARGET, TARGET);
    this._comms.set(kernel, comm);
    return comm;
  }

  private _onStatus(_: unknown, status: Kernel.Status): void {
    if (STOPPED_STATUSES.includes(status)) {
      this._closeClient();
    }
  }

  private _onConnection(
    kernel: Kernel.IKernelConnection,
    status: Kernel.ConnectionStatus
  ): void {
    if (status === 'connected' && kernel === this._kernels[0]) {
      this._resume(kernel);
    }
  }

  private _onDisposed(kernel: Kernel.IKernelConnection): void {
    const wasFirst = kernel === this._kernels[0];
    this._kernels = this._kernels.filter(each => each !== kernel);
    const [next] = this._kernels;
    if (!next) {
      this._closeClient();
    } else if (wasFirst) {
      this._resume(next);
    }
  }

  /** Request the state again: messages during the disconnection are lost. */
  private _resume(kernel: Kernel.IKernelConnection): void {
    if (this._client) {
      this._client.sendHello();
    } else {
      void this._findComm(kernel);
    }
  }

  private _closeClient(): void {
    const client = this._client;
    if (client !== null) {
      this._client = null;
      client.dispose();
      this._changed.emit();
    }
  }

  private _client: KernelClient | null = null;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _comms = new WeakMap<
    Kernel.IKernelConnection,
    Kernel.IComm
  >();
  private _kernels: Kernel.IKernelConnection[] = [];
}
