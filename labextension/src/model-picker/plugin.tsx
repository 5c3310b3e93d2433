import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ISessionContext, IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import {
  ITranslator,
  nullTranslator,
  TranslationBundle
} from '@jupyterlab/translation';
import { caretDownIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { ClientTracker, IKernelClients } from '../kernelClient';
import { Popover, PopoverButton, shortName } from '../ui';

/** Adds a model picker to the toolbar of each notebook. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'cfai-magics:picker',
  description: 'Adds a model picker to the notebook toolbar.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [IKernelClients, IToolbarWidgetRegistry, ITranslator],
  activate: (
    _: JupyterFrontEnd,
    _tracker: INotebookTracker,
    clients: IKernelClients | null,
    toolbars: IToolbarWidgetRegistry | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    if (clients) {
      toolbars?.addFactory<NotebookPanel>(
        'Notebook',
        'cfai-model',
        ({ sessionContext }) => new PickerButton(sessionContext, clients, trans)
      );
    }
  }
};

/** The model picker in a notebook toolbar; hidden if the kernel has not loaded the extension. */
class PickerButton extends PopoverButton {
  constructor(
    session: ISessionContext,
    clients: IKernelClients,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-CfaiPicker');
    // The toolbar of JupyterLab 4.2 moves the focus to the notebook after a click, which would
    // close the list.
    this.node.addEventListener('click', event => event.stopPropagation());
    this._clientTracker = new ClientTracker(clients, () => session);
    this._clientTracker.changed.connect(this._onState, this);
    this._onState();
  }

  override dispose(): void {
    this._clientTracker.dispose();
    super.dispose();
  }

  protected render(): JSX.Element {
    const trans = this._trans;
    const name = shortName(this._clientTracker.client?.state?.model ?? '');
    return (
      <button
        {...this.buttonProps}
        className="jp-CfaiPicker-button"
        aria-label={trans.__('Model: %1', name)}
        title={trans.__(
          'Default model of this kernel, for cells that do not select a model'
        )}
      >
        {name}
        <caretDownIcon.react tag="span" className="jp-CfaiPicker-caret" />
      </button>
    );
  }

  protected async createPopover(anchor: HTMLElement): Promise<Popover | null> {
    const { ModelList } = await import('./list');
    const { client } = this._clientTracker;
    return client?.state ? new ModelList(anchor, client, this._trans) : null;
  }

  private _onState(): void {
    this.setHidden(!this._clientTracker.client?.state);
    this.update();
  }

  private readonly _clientTracker: ClientTracker;
}

export default plugin;
