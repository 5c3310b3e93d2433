import { Compartment, Extension } from '@codemirror/state';
import { EditorView, ViewPlugin } from '@codemirror/view';

/** An extension that all its editors take on and off together, those already open too. */
export class Switch {
  /** Put the extension in all editors in the place of what was there. */
  set(extension: Extension): void {
    this._current = extension;
    const effects = this._place.reconfigure(extension);
    this._views.forEach(view => view.dispatch({ effects }));
  }

  /** What one new editor needs. */
  instance(): Extension {
    const views = this._views;
    const known = ViewPlugin.define(view => {
      views.add(view);
      return { destroy: () => views.delete(view) };
    });
    return [this._place.of(this._current), known];
  }

  private _current: Extension = [];
  private readonly _place = new Compartment();
  private readonly _views = new Set<EditorView>();
}
