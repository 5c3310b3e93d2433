import { Kernel, KernelMessage } from '@jupyterlab/services';
import { JSONObject, PartialJSONValue } from '@lumino/coreutils';
import { ISignal, Signal } from '@lumino/signaling';

import { Bridge } from '../bridge';
import { TARGET } from '../protocol';

/** One kernel as this page is connected to it: there is a bridge while the extension is loaded. */
export class Link {
  constructor(
    readonly kernel: Kernel.IKernelConnection,
    private readonly _warn: (line: string) => void
  ) {
    kernel.registerCommTarget(TARGET, (comm, message) => {
      this._take(comm).receive(message.content.data);
    });
    kernel.iopubMessage.connect(this._onMessage, this);
    kernel.statusChanged.connect(this._onStatus, this);
    kernel.connectionStatusChanged.connect(this._onConnection, this);
    kernel.disposed.connect(this._drop, this);
    void this._look();
  }

  /** Whenever the bridge is another. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get bridge(): Bridge | null {
    return this._bridge;
  }

  /** The page is younger than the comm: a kernel at rest tells that it has one. */
  private async _look(): Promise<void> {
    const { content } = await this.kernel.requestCommInfo({
      target_name: TARGET
    });
    if (content.status === 'ok' && TARGET in content.comms) {
      this._attach();
    }
  }

  /** A kernel at work cannot be asked, but tells by itself. */
  private _onMessage(
    _: unknown,
    { header, content }: KernelMessage.IIOPubMessage
  ): void {
    const told = content as { comm_id?: string; data?: PartialJSONValue };
    if (
      header.msg_type === 'comm_msg' &&
      told.comm_id === TARGET &&
      !this._bridge
    ) {
      this._attach()?.receive(told.data);
    }
  }

  private _attach(): Bridge | null {
    if (this._bridge || this.kernel.hasComm(TARGET)) {
      return this._bridge;
    }
    return this._take(this.kernel.createComm(TARGET, TARGET));
  }

  private _take(comm: Kernel.IComm): Bridge {
    const bridge = new Bridge(
      { send: data => comm.send(data as JSONObject) },
      this._warn
    );
    comm.onMsg = message => bridge.receive(message.content.data);
    comm.onClose = () => {
      if (this._bridge === bridge) {
        this._drop();
      }
    };
    this._drop();
    this._bridge = bridge;
    bridge.greet();
    this._changed.emit();
    return bridge;
  }

  private _onStatus(_: unknown, status: Kernel.Status): void {
    if (
      ['restarting', 'autorestarting', 'terminating', 'dead'].includes(status)
    ) {
      this._drop();
    }
  }

  /** What was told meanwhile is lost. */
  private _onConnection(_: unknown, status: Kernel.ConnectionStatus): void {
    if (status === 'connected') {
      this._bridge?.greet();
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
}
