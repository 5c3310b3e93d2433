import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { IStatusBar } from '@jupyterlab/statusbar';
import {
  ITranslator,
  nullTranslator,
  TranslationBundle
} from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

import { formatStatus, tooltip } from '../dayUsage';
import { ClientTracker, IKernelClients, trackCurrent } from '../kernelClient';
import { Popover, PopoverButton } from '../ui';

const ID = 'cfai-magics:meter';
const SHOW_PANEL = 'cfai:show-panel';

/**
 * Shows today's neurons of the current notebook in the status bar, or in the notebook's toolbar if
 * the application has no status bar, such as Notebook 7.
 */
const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description:
    "Shows today's neurons in the status bar, or in the notebook toolbar without one.",
  autoStart: true,
  requires: [INotebookTracker],
  optional: [IKernelClients, IStatusBar, IToolbarWidgetRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    clients: IKernelClients | null,
    statusBar: IStatusBar | null,
    toolbars: IToolbarWidgetRegistry | null,
    translator: ITranslator | null
  ): void => {
    if (!clients) {
      return;
    }
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    if (statusBar) {
      const current = trackCurrent(tracker, clients);
      statusBar.registerStatusItem(ID, {
        item: new Meter(current, trans, app.commands),
        align: 'middle',
        rank: 10,
        isActive: () => Boolean(current.client?.state),
        activeStateChanged: current.changed
      });
    }
    // The settings schema adds this item to the toolbar in each application.
    toolbars?.addFactory<NotebookPanel>(
      'Notebook',
      'cfai-meter',
      ({ sessionContext }) => {
        if (statusBar) {
          const empty = new Widget();
          empty.hide();
          return empty;
        }
        const current = new ClientTracker(clients, () => sessionContext);
        const meter = new Meter(current, trans, app.commands);
        meter.disposed.connect(() => current.dispose());
        return meter;
      }
    );
  }
};

/** Shows the state of a kernel; hidden if the kernel has not loaded the extension. */
class Meter extends PopoverButton {
  constructor(
    private readonly _current: ClientTracker,
    private readonly _trans: TranslationBundle,
    private readonly _commands: JupyterFrontEnd['commands']
  ) {
    super();
    this.addClass('jp-CfaiMeter');
    // The toolbar of JupyterLab 4.2 moves the focus to the notebook after a click, which would
    // close the details.
    this.node.addEventListener('click', event => event.stopPropagation());
    _current.changed.connect(this._onState, this);
    this._onState();
  }

  protected render(): JSX.Element {
    const state = this._current.client?.state;
    if (!state) {
      return <></>;
    }
    const { level, text } = formatStatus(state, this._trans);
    return (
      <button
        {...this.buttonProps}
        className="jp-CfaiMeter-button"
        data-level={level}
        title={tooltip(state, this._trans)}
      >
        {text}
      </button>
    );
  }

  protected async createPopover(anchor: HTMLElement): Promise<Popover | null> {
    const { Details } = await import('./details');
    const { client } = this._current;
    // The command is missing if its plug-in is disabled.
    const openPanel = this._commands.hasCommand(SHOW_PANEL)
      ? (): void => void this._commands.execute(SHOW_PANEL)
      : null;
    return client?.state
      ? new Details(anchor, client, this._trans, openPanel)
      : null;
  }

  private _onState(): void {
    this.setHidden(!this._current.client?.state);
    this.update();
  }
}

export default plugin;
