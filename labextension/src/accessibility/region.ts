import { element } from '../dom';

const MAX_LINES = 20;

/** A visually hidden live region; screen readers read new lines after their current text. */
export class Region {
  constructor(label: string) {
    this._node.setAttribute('role', 'log');
    this._node.setAttribute('aria-live', 'polite');
    this._node.setAttribute('aria-label', label);
    document.body.append(this._node);
  }

  tell(lines: readonly string[]): void {
    this._node.append(...lines.map(line => element('p', '', line)));
    while (this._node.childElementCount > MAX_LINES) {
      this._node.firstElementChild?.remove();
    }
  }

  private readonly _node = element('div', 'jp-CfaiLive');
}
