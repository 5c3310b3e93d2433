import { ISessionContext } from '@jupyterlab/apputils';
import { NotebookPanel } from '@jupyterlab/notebook';
import { TranslationBundle } from '@jupyterlab/translation';
import { Message } from '@lumino/messaging';
import { Panel, Widget } from '@lumino/widgets';

import {
  ClientTracker,
  IKernelClients,
  KernelClient,
  loadExtension
} from '../kernelClient';
import { dockId, WIDGET_VIEW } from '../notebook';
import { cfaiIcon } from '../ui';

/** The areas of JupyterLab and Notebook 7 that show the panel. */
export type Area = 'main' | 'right';

/**
 * Shows the panel of a notebook's kernel next to the notebook, until the notebook is closed. After a
 * restart of the kernel, it shows the panel again as soon as the kernel has loaded the extension.
 */
export class PanelDock extends Panel {
  constructor(
    notebook: NotebookPanel,
    readonly area: Area,
    clients: IKernelClients,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.id = dockId(notebook);
    this.addClass('jp-CfaiDock');
    this.node.tabIndex = -1;
    this.title.icon = cfaiIcon;
    // JupyterLab's sidebars show only icons.
    this.title.label = area === 'main' ? _trans.__('Workers AI') : '';
    this.title.caption = _trans.__(
      'Workers AI panel of %1',
      notebook.title.label
    );
    this.title.closable = area === 'main';
    this._rendermime = notebook.content.rendermime;
    this._session = notebook.sessionContext;
    this._clientTracker = new ClientTracker(clients, () => this._session);
    this._clientTracker.changed.connect(this._onClient, this);
    this._observer.observe(this.node, { childList: true, subtree: true });
    notebook.disposed.connect(this.dispose, this);
  }

  /** Show the panel; load the extension in the kernel if necessary. */
  async load(): Promise<void> {
    this._onClient();
    if (this._client !== null) {
      return;
    }
    this._showText(
      this._trans.__(
        'Waiting for the kernel. If this notebook has none, select one.'
      )
    );
    try {
      await loadExtension(this._session, this._trans);
    } catch (error) {
      if (!this.isDisposed) {
        this._showText((error as Error).message);
      }
    }
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    this._observer.disconnect();
    this._clientTracker.dispose();
    super.dispose();
  }

  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    this.node.focus();
  }

  protected override onCloseRequest(message: Message): void {
    super.onCloseRequest(message);
    this.dispose();
  }

  private _onClient(): void {
    const { client } = this._clientTracker;
    if (client === this._client) {
      return;
    }
    this._client = client;
    if (!this._rendermime.mimeTypes.includes(WIDGET_VIEW)) {
      this._showText(
        this._trans.__(
          'The panel needs ipywidgets. Install jupyterlab_widgets where JupyterLab is installed, then reload this page.'
        )
      );
    } else if (client !== null) {
      void this._render(client);
    } else {
      // The widgets of a stopped kernel do not work, and ipywidgets marks each as broken.
      this._showText(
        this._trans.__(
          'The kernel has stopped or unloaded cfai_magics. Run %1 or open the panel again.',
          '%load_ext cfai_magics'
        )
      );
    }
  }

  private async _render(client: KernelClient): Promise<void> {
    try {
      const { view } = await client.request('panel', {});
      if (this.isDisposed || client !== this._client) {
        return;
      }
      const renderer = this._rendermime.createRenderer(WIDGET_VIEW);
      this._show(renderer);
      const data = { [WIDGET_VIEW]: view };
      await renderer.renderModel(
        this._rendermime.createModel({ data, trusted: true })
      );
    } catch (error) {
      if (!this.isDisposed && client === this._client) {
        this._showText((error as Error).message);
      }
    }
  }

  private _showText(text: string): void {
    const message = new Widget({ node: document.createElement('p') });
    message.node.setAttribute('role', 'status');
    message.node.textContent = text;
    this._show(message);
  }

  private _show(widget: Widget): void {
    for (const each of [...this.widgets]) {
      each.dispose();
    }
    this.addWidget(widget);
  }

  /** Name the handles of sliders for screen readers, which ipywidgets 8.1 does not do. */
  private _nameSliders(): void {
    for (const handle of this.node.querySelectorAll('[role="slider"]')) {
      const label = handle
        .closest('.widget-slider')
        ?.querySelector('.widget-label');
      handle.setAttribute('aria-label', label?.textContent ?? '');
    }
  }

  private readonly _observer = new MutationObserver(() => this._nameSliders());
  private readonly _rendermime: NotebookPanel['content']['rendermime'];
  private readonly _session: ISessionContext;
  private readonly _clientTracker: ClientTracker;
  private _client: KernelClient | null = null;
}
