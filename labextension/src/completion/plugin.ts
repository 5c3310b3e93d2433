import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import {
  CompletionHandler,
  ICompletionContext,
  ICompletionProvider,
  ICompletionProviderManager
} from '@jupyterlab/completer';
import { NotebookPanel } from '@jupyterlab/notebook';

import { canComplete } from '../cellSource';
import { IKernelClients, KernelClient } from '../kernelClient';

/** Adds descriptions to the completions of `%cfai` and `%%cfai` lines. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'cfai-magics:completion',
  description: 'Adds descriptions to completions in %cfai and %%cfai lines.',
  autoStart: true,
  optional: [ICompletionProviderManager, IKernelClients],
  activate: (
    _: JupyterFrontEnd,
    manager: ICompletionProviderManager | null,
    clients: IKernelClients | null
  ): void => {
    if (clients !== null) {
      manager?.registerProvider(new CfaiCompletionProvider(clients));
    }
  }
};

/**
 * Requests completions with descriptions from the kernel. JupyterLab also requests those of other
 * providers. Its kernel provider returns the same texts, and JupyterLab keeps the first of equal
 * texts. If the kernel is busy, JupyterLab ignores this provider after a timeout.
 */
class CfaiCompletionProvider implements ICompletionProvider {
  constructor(private readonly _clients: IKernelClients) {}

  readonly identifier = 'CompletionProvider:cfai';

  // Above the kernel (550), below providers with their own renderer and model (from 1000).
  readonly rank = 600;

  isApplicable(context: ICompletionContext): Promise<boolean> {
    return Promise.resolve(this._findLine(context) !== null);
  }

  async fetch(
    { offset }: CompletionHandler.IRequest,
    context: ICompletionContext
  ): Promise<CompletionHandler.ICompletionItemsReply> {
    const found = this._findLine(context);
    if (found === null) {
      return { start: offset, end: offset, items: [] };
    }
    const { client, line } = found;
    const { length, items } = await client.request('complete', { line });
    return {
      start: offset - length,
      end: offset,
      items: items.map(({ text, type, description }) => ({
        // The documentation panel is off by default. JupyterLab searches only the part of the label
        // before the first parenthesis.
        label: `${text} (${description})`,
        insertText: text,
        type,
        documentation: description
      }))
    };
  }

  /** Return the line up to the cursor and the client that completes it; null for other lines. */
  private _findLine({
    widget,
    editor
  }: ICompletionContext): { client: KernelClient; line: string } | null {
    if (!(widget instanceof NotebookPanel) || !editor) {
      return null;
    }
    const client = this._clients.of(widget.sessionContext);
    const cell = widget.content.activeCell;
    if (!client || cell?.model.type !== 'code' || cell.editor !== editor) {
      return null;
    }
    const { line: row, column } = editor.getCursorPosition();
    const line = editor.getLine(row)?.slice(0, column) ?? '';
    return canComplete(line, row) ? { client, line } : null;
  }
}

export default plugin;
