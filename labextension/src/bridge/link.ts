import { Kernel, KernelMessage } from '@jupyterlab/services';
import { JSONObject, PartialJSONValue } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

import { Bridge } from '../bridge';
import { TARGET } from '../protocol';

const GONE = ['restarting', 'autorestarting', 'terminating', 'dead'];

/**
 * One kernel as this page is connected to it, once for each of its notebooks: there is a bridge
 * while the extension is loaded. Of the connections that are open, the first is used.
 */
export class Link {
  constructor(private readonly _warn: (line: string) => void) {}

  /** Whenever the bridge is another. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get bridge(): Bridge | null {
    return this._bridge;
  }

  /** Whether no connection is open any more. */
  get isClosed(): boolean {
    return this._kernels.length === 0;
  }

  /** Take one more connection to the kernel. */
  add(kernel: Kernel.IKernelConnection): void {
    if (this._kernels.includes(kernel)) {
      return;
    }
    this._kernels.push(kernel);
    // Without a target Lab would close the comm.
    kernel.registerCommTarget(TARGET, comm => {
      this._comms.set(kernel, comm);
    });
    kernel.iopubMessage.connect(this._onMessage, this);
    kernel.statusChanged.connect(this._onStatus, this);
    kernel.connectionStatusChanged.connect(this._onConnection, this);
    kernel.disposed.connect(this._onDisposed, this);
    if (kernel === this._kernels[0]) {
      void this._look(kernel);
    }
  }

  /** The page is younger than the comm: a kernel at rest tells that it has one. */
  private async _look(kernel: Kernel.IKernelConnection): Promise<void> {
    const { content } = await kernel.requestCommInfo({ target_name: TARGET });
    if (content.status === 'ok' && TARGET in content.comms && !this._bridge) {
      this._take();
    }
  }

  /** A kernel at work cannot be asked, but tells by itself. */
  private _onMessage(
    kernel: Kernel.IKernelConnection,
    { header, content }: KernelMessage.IIOPubMessage
  ): void {
    const told = content as { comm_id?: string; data?: PartialJSONValue };
    if (told.comm_id !== TARGET || kernel !== this._kernels[0]) {
      return;
    }
    if (header.msg_type === 'comm_close') {
      this._drop();
    } else {
      const isNew = header.msg_type === 'comm_open' || !this._bridge;
      (isNew ? this._take() : this._bridge)?.receive(told.data);
    }
  }

  private _take(): Bridge {
    this._drop();
    const bridge = new Bridge(
      { send: data => this._send(data as JSONObject) },
      this._warn
    );
    this._bridge = bridge;
    bridge.greet();
    this._changed.emit();
    return bridge;
  }

  private _send(data: JSONObject): void {
    const [kernel] = this._kernels;
    if (kernel?.handleComms) {
      this._commOf(kernel).send(data);
    } else if (kernel) {
      // Of several connections of a page, Lab lets one have comms: what that would send.
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

  /** Lab's own comm: by it a kernel with subshells answers also while a cell runs. */
  private _commOf(kernel: Kernel.IKernelConnection): Kernel.IComm {
    const known = this._comms.get(kernel);
    if (known && !known.isDisposed) {
      return known;
    }
    const comm = kernel.createComm(TARGET, TARGET);
    this._comms.set(kernel, comm);
    return comm;
  }

  private _onStatus(_: unknown, status: Kernel.Status): void {
    if (GONE.includes(status)) {
      this._drop();
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
      this._drop();
    } else if (wasFirst) {
      this._resume(next);
    }
  }

  /** What was told meanwhile is lost. */
  private _resume(kernel: Kernel.IKernelConnection): void {
    if (this._bridge) {
      this._bridge.greet();
    } else {
      void this._look(kernel);
    }
  }

  private _drop(): void {
    const bridge = this._bridge;
    if (bridge !== null) {
      this._bridge = null;
      bridge.dispose();
      this._changed.emit();
    }
  }

  private _bridge: Bridge | null = null;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _comms = new WeakMap<
    Kernel.IKernelConnection,
    Kernel.IComm
  >();
  private _kernels: Kernel.IKernelConnection[] = [];
}
