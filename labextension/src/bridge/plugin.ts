import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ISessionContext } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { Kernel } from '@jupyterlab/services';
import { ISignal, Signal } from '@lumino/signaling';

import { Bridge } from '../bridge';
import { IBridges } from '../bridges';
import type { Link } from './link';

/** Links this page with the kernels of all open notebooks, one link a kernel. */
class Bridges implements IBridges {
  get changed(): ISignal<IBridges, void> {
    return this._changed;
  }

  of(session: ISessionContext): Bridge | null {
    const id = session.session?.kernel?.id;
    return (id !== undefined && this._links.get(id)?.bridge) || null;
  }

  /** Follow the kernels of a notebook, one after the other. */
  follow(session: ISessionContext): void {
    session.kernelChanged.connect(
      (_, { newValue }) => void this._link(newValue)
    );
    void this._link(session.session?.kernel ?? null);
  }

  private async _link(kernel: Kernel.IKernelConnection | null): Promise<void> {
    const { Link } = await import('./link');
    if (kernel && !kernel.isDisposed) {
      const { id } = kernel;
      const link = this._links.get(id) ?? new Link(line => console.warn(line));
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

/** The comm with the kernels, for what shows their state. */
const plugin: JupyterFrontEndPlugin<IBridges> = {
  id: 'cfai-magics:bridge',
  description: 'Hears from kernels what is in use and what it costs.',
  autoStart: true,
  requires: [INotebookTracker],
  provides: IBridges,
  activate: (_: JupyterFrontEnd, tracker: INotebookTracker): IBridges => {
    const bridges = new Bridges();
    tracker.forEach(panel => bridges.follow(panel.sessionContext));
    tracker.widgetAdded.connect((_, panel) =>
      bridges.follow(panel.sessionContext)
    );
    return bridges;
  }
};

export default plugin;
