import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ISessionContext } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { Kernel } from '@jupyterlab/services';
import { ITranslator } from '@jupyterlab/translation';
import { ISignal, Signal } from '@lumino/signaling';

import { Bridge, IBridges } from '../kernelClient';
import type { Link } from './kernelComm';

/** Connects this page to the kernels of all open notebooks, with one link per kernel. */
class Bridges implements IBridges {
  /** `locale` is JupyterLab's language, such as zh_CN: kernels use it for their messages. */
  constructor(private readonly _locale: string) {}

  get changed(): ISignal<IBridges, void> {
    return this._changed;
  }

  of(session: ISessionContext): Bridge | null {
    const id = session.session?.kernel?.id;
    return (id !== undefined && this._links.get(id)?.bridge) || null;
  }

  /** Connect to the current kernel of a notebook, and to each later one. */
  follow(session: ISessionContext): void {
    session.kernelChanged.connect(
      (_, { newValue }) => void this._link(newValue)
    );
    void this._link(session.session?.kernel ?? null);
  }

  private async _link(kernel: Kernel.IKernelConnection | null): Promise<void> {
    const { Link } = await import('./kernelComm');
    if (kernel && !kernel.isDisposed) {
      const { id } = kernel;
      const link =
        this._links.get(id) ??
        new Link(this._locale, line => console.warn(line));
      link.add(kernel);
      if (!this._links.has(id)) {
        this._links.set(id, link);
        link.changed.connect(() => this._changed.emit());
      }
      kernel.disposed.connect(() => {
        if (link.isClosed && this._links.get(id) === link) {
          this._links.delete(id);
        }
      });
    }
    this._changed.emit();
  }

  private readonly _changed = new Signal<IBridges, void>(this);
  private readonly _links = new Map<string, Link>();
}

/** Provides the comms with the kernels to the plugins that show their state. */
const plugin: JupyterFrontEndPlugin<IBridges> = {
  id: 'cfai-magics:bridge',
  description: 'Receives the model and the usage from kernels.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ITranslator],
  provides: IBridges,
  activate: (
    _: JupyterFrontEnd,
    tracker: INotebookTracker,
    translator: ITranslator | null
  ): IBridges => {
    const bridges = new Bridges(translator?.languageCode ?? '');
    tracker.forEach(panel => bridges.follow(panel.sessionContext));
    tracker.widgetAdded.connect((_, panel) =>
      bridges.follow(panel.sessionContext)
    );
    return bridges;
  }
};

export default plugin;
