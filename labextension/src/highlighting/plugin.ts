import { Compartment, Extension } from '@codemirror/state';
import { EditorView, ViewPlugin } from '@codemirror/view';
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
import { Parser } from '@lezer/common';

import { followEnabled } from '../ui';

const ID = 'cfai-magics:prose';

/** Highlights %%cfai cells as Markdown. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Highlights %%cfai cells as Markdown.',
  autoStart: true,
  requires: [IEditorExtensionRegistry, IEditorLanguageRegistry],
  optional: [ISettingRegistry],
  activate: (
    _: JupyterFrontEnd,
    editors: IEditorExtensionRegistry,
    languages: IEditorLanguageRegistry,
    registry: ISettingRegistry | null
  ): void => {
    const highlighting = new ToggleableExtension();
    editors.addExtension({
      name: ID,
      factory: ({ model }) =>
        isCode(model)
          ? EditorExtensionRegistry.createImmutableExtension(
              highlighting.createExtension()
            )
          : null
    });
    // Not awaited: open cells are highlighted when the parsers are loaded.
    void followSettings(highlighting, languages, registry);
  }
};

async function followSettings(
  highlighting: ToggleableExtension,
  languages: IEditorLanguageRegistry,
  registry: ISettingRegistry | null
): Promise<void> {
  const on = await loadHighlighting(languages);
  await followEnabled(registry, ID, isEnabled =>
    highlighting.set(isEnabled ? on : [])
  );
}

async function loadHighlighting(
  languages: IEditorLanguageRegistry
): Promise<Extension> {
  const { createHighlighting } = await import('./language');
  const parser = async (mime: string): Promise<Parser> => {
    const language = await languages.getLanguage(languages.findByMIME(mime)!);
    return language!.support!.language.parser;
  };
  return createHighlighting(
    await parser('text/x-ipythongfm'),
    await parser('text/x-ipython')
  );
}

/** Return true if the model of an editor belongs to a code cell. */
function isCode(model: CodeEditor.IModel): boolean {
  return 'type' in model && (model as ICellModel).type === 'code';
}

/** An editor extension that can be switched in all editors at once, also in open ones. */
class ToggleableExtension {
  /** Replace the current extension in all editors. */
  set(extension: Extension): void {
    this._current = extension;
    const effects = this._compartment.reconfigure(extension);
    this._views.forEach(view => view.dispatch({ effects }));
  }

  /** Return the extension for a new editor. */
  createExtension(): Extension {
    const views = this._views;
    const tracking = ViewPlugin.define(view => {
      views.add(view);
      return { destroy: () => views.delete(view) };
    });
    return [this._compartment.of(this._current), tracking];
  }

  private _current: Extension = [];
  private readonly _compartment = new Compartment();
  private readonly _views = new Set<EditorView>();
}

export default plugin;
