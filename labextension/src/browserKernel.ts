import { ServerConnection } from '@jupyterlab/services';

import { ISaveCredentials, ToBrowserKernel } from './protocol';

/** Sites of one origin, such as those of one user on GitHub Pages, have separate entries. */
const entry = (): string =>
  `cfai-magics:credentials:${ServerConnection.makeSettings().baseUrl}`;

/**
 * The page side of the BroadcastChannel of a kernel in the browser. The page keeps credentials until
 * its tab is closed, or, if the user chose so, until a logout. They are never in comm messages.
 */
export class BrowserKernel {
  constructor(name: string) {
    this._channel = new BroadcastChannel(name);
    this._channel.onmessage = ({ data }: MessageEvent<ISaveCredentials>) => {
      saveCredentials(data);
      kernels.forEach(kernel => kernel._sendReady());
    };
    kernels.add(this);
    this._sendReady();
  }

  /** End what the kernel waits for, as an interrupt does. */
  stop(): void {
    this._send({ type: 'stop' });
  }

  dispose(): void {
    kernels.delete(this);
    this._channel.close();
  }

  private _sendReady(): void {
    this._send({ type: 'ready', ...loadCredentials() });
  }

  private _send(message: ToBrowserKernel): void {
    this._channel.postMessage(message);
  }

  private readonly _channel: BroadcastChannel;
}

/** All kernels of this page: each receives the credentials that another one saves. */
const kernels = new Set<BrowserKernel>();

type Kept = Pick<ISaveCredentials, 'credentials' | 'keep'>;

/** What is kept if the user blocks the storage of sites. */
let inMemory: Kept = { credentials: null, keep: false };

function loadCredentials(): Kept {
  try {
    const kept = localStorage.getItem(entry());
    return {
      credentials: sessionStorage.getItem(entry()) ?? kept,
      keep: kept !== null
    };
  } catch {
    return inMemory;
  }
}

function saveCredentials({ credentials, keep }: Kept): void {
  try {
    sessionStorage.removeItem(entry());
    localStorage.removeItem(entry());
    if (credentials !== null) {
      (keep ? localStorage : sessionStorage).setItem(entry(), credentials);
    }
  } catch {
    inMemory = { credentials, keep: false };
  }
}
