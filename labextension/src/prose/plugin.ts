import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICellModel } from '@jupyterlab/cells';
import { CodeEditor } from '@jupyterlab/codeeditor';
import {
  EditorExtensionRegistry,
  IEditorExtensionRegistry,
  IEditorLanguageRegistry
} from '@jupyterlab/codemirror';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Extension } from '@codemirror/state';
import { Parser } from '@lezer/common';

import { Switch } from './switch';

const ID = 'cfai-magics:prose';

/** Colours the cells that ask as the text they are. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Colours %%cfai cells as Markdown.',
  autoStart: true,
  requires: [IEditorExtensionRegistry, IEditorLanguageRegistry],
  optional: [ISettingRegistry],
  activate: (
    _: JupyterFrontEnd,
    editors: IEditorExtensionRegistry,
    languages: IEditorLanguageRegistry,
    registry: ISettingRegistry | null
  ): void => {
    const colours = new Switch();
    editors.addExtension({
      name: ID,
      factory: ({ model }) =>
        isCode(model)
          ? EditorExtensionRegistry.createImmutableExtension(colours.instance())
          : null
    });
    // Nobody waits for it: cells take their colours on when all is there.
    void switchBySettings(colours, languages, registry);
  }
};

async function switchBySettings(
  colours: Switch,
  languages: IEditorLanguageRegistry,
  registry: ISettingRegistry | null
): Promise<void> {
  const on = await loadColours(languages);
  const settings = await registry?.load(ID);
  const follow = (): void =>
    colours.set(settings?.composite.enabled === false ? [] : on);
  settings?.changed.connect(follow);
  follow();
}

async function loadColours(
  languages: IEditorLanguageRegistry
): Promise<Extension> {
  const { questionColours } = await import('./language');
  const parser = async (mime: string): Promise<Parser> => {
    const found = await languages.getLanguage(languages.findByMIME(mime)!);
    return found!.support!.language.parser;
  };
  return questionColours(
    await parser('text/x-ipythongfm'),
    await parser('text/x-ipython')
  );
}

/** Whether an editor's model is that of a code cell. */
function isCode(model: CodeEditor.IModel): boolean {
  return 'type' in model && (model as ICellModel).type === 'code';
}

export default plugin;
