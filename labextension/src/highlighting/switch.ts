import { Compartment, Extension } from '@codemirror/state';
import { EditorView, ViewPlugin } from '@codemirror/view';

/** An editor extension that can be switched in all editors at once, also in open ones. */
export class Switch {
  /** Replace the current extension in all editors. */
  set(extension: Extension): void {
    this._current = extension;
    const effects = this._place.reconfigure(extension);
    this._views.forEach(view => view.dispatch({ effects }));
  }

  /** Return the extension for a new editor. */
  instance(): Extension {
    const views = this._views;
    const tracking = ViewPlugin.define(view => {
      views.add(view);
      return { destroy: () => views.delete(view) };
    });
    return [this._place.of(this._current), tracking];
  }

  private _current: Extension = [];
  private readonly _place = new Compartment();
  private readonly _views = new Set<EditorView>();
}
