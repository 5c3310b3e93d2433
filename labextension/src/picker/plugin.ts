import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IToolbarWidgetRegistry } from '@jupyterlab/apputils';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { IBridges } from '../bridges';
// eslint-disable-next-line jupyter/prefer-lazy-imports -- a toolbar's factory gives its widget at once
import { PickerButton } from './button';

/** The model in use in the toolbar of each notebook, to choose another. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'cfai-magics:picker',
  description: 'Shows and chooses the model in the toolbar of a notebook.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [IBridges, IToolbarWidgetRegistry, ITranslator],
  activate: (
    _: JupyterFrontEnd,
    _tracker: INotebookTracker,
    bridges: IBridges | null,
    toolbars: IToolbarWidgetRegistry | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    if (bridges) {
      toolbars?.addFactory<NotebookPanel>(
        'Notebook',
        'cfai-model',
        ({ sessionContext }) => new PickerButton(sessionContext, bridges, trans)
      );
    }
  }
};

export default plugin;
