import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ISessionContext } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { Kernel } from '@jupyterlab/services';
import { ITranslator } from '@jupyterlab/translation';
import { ISignal, Signal } from '@lumino/signaling';

import { IKernelClients, KernelClient } from '../kernelClient';
import type { KernelComm } from './kernelComm';

/** Connects this page to the kernels of all open notebooks, with one comm per kernel. */
class KernelClients implements IKernelClients {
  /** `locale` is JupyterLab's language, such as zh_CN: kernels use it for their messages. */
  constructor(private readonly _locale: string) {}

  get changed(): ISignal<IKernelClients, void> {
    return this._changed;
  }

  of(session: ISessionContext): KernelClient | null {
    const id = session.session?.kernel?.id;
    return (id !== undefined && this._kernelComms.get(id)?.client) || null;
  }

  /** Connect to the current kernel of a notebook, and to each later one. */
  connect(session: ISessionContext): void {
    session.kernelChanged.connect(
      (_, { newValue }) => void this._add(newValue)
    );
    void this._add(session.session?.kernel ?? null);
  }

  private async _add(kernel: Kernel.IKernelConnection | null): Promise<void> {
    const { KernelComm } = await import('./kernelComm');
    if (kernel && !kernel.isDisposed) {
      const { id } = kernel;
      const kernelComm =
        this._kernelComms.get(id) ??
        new KernelComm(this._locale, line => console.warn(line));
      kernelComm.add(kernel);
      if (!this._kernelComms.has(id)) {
        this._kernelComms.set(id, kernelComm);
        kernelComm.changed.connect(() => this._changed.emit());
      }
      kernel.disposed.connect(() => {
        if (kernelComm.isClosed && this._kernelComms.get(id) === kernelComm) {
          this._kernelComms.delete(id);
        }
      });
    }
    this._changed.emit();
  }

  private readonly _changed = new Signal<IKernelClients, void>(this);
  private readonly _kernelComms = new Map<string, KernelComm>();
}

/** Provides the comms with the kernels to the plugins that show their state. */
const plugin: JupyterFrontEndPlugin<IKernelClients> = {
  id: 'cfai-magics:bridge',
  description: 'Receives the model and the usage from kernels.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ITranslator],
  provides: IKernelClients,
  activate: (
    _: JupyterFrontEnd,
    tracker: INotebookTracker,
    translator: ITranslator | null
  ): IKernelClients => {
    const clients = new KernelClients(translator?.languageCode ?? '');
    tracker.forEach(panel => clients.connect(panel.sessionContext));
    tracker.widgetAdded.connect((_, panel) =>
      clients.connect(panel.sessionContext)
    );
    return clients;
  }
};

export default plugin;
