import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { IKernelClients } from '../kernelClient';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- a toolbar factory returns its widget synchronously
import { PickerButton } from './button';

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

export default plugin;
