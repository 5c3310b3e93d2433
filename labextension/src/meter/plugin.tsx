import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IStatusBar } from '@jupyterlab/statusbar';
import {
  ITranslator,
  nullTranslator,
  TranslationBundle
} from '@jupyterlab/translation';
import * as React from 'react';

// eslint-disable-next-line jupyter/prefer-lazy-imports -- the button shows the text when it is rendered
import { formatStatus, tooltip } from '../dayUsage';
import { ClientTracker, IKernelClients, trackCurrent } from '../kernelClient';
import { Popover, PopoverButton } from '../ui';

const ID = 'cfai-magics:meter';
const SHOW_PANEL = 'cfai:show-panel';

/** Shows today's neurons in the status bar, for the current notebook. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: "Shows today's neurons in the status bar.",
  autoStart: true,
  requires: [INotebookTracker],
  optional: [IKernelClients, IStatusBar, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    clients: IKernelClients | null,
    statusBar: IStatusBar | null,
    translator: ITranslator | null
  ): void => {
    if (!clients || !statusBar) {
      return;
    }
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    const current = trackCurrent(tracker, clients);
    statusBar.registerStatusItem(ID, {
      item: new MeterItem(current, trans, app.commands),
      align: 'middle',
      rank: 10,
      isActive: () => Boolean(current.client?.state),
      activeStateChanged: current.changed
    });
  }
};

/** The status bar item: shows the state of the current notebook's kernel. */
class MeterItem extends PopoverButton {
  constructor(
    private readonly _current: ClientTracker,
    private readonly _trans: TranslationBundle,
    private readonly _commands: JupyterFrontEnd['commands']
  ) {
    super();
    this.addClass('jp-CfaiMeter');
    _current.changed.connect(this.update, this);
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
}

export default plugin;
