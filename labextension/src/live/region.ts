import { element } from '../dom';

const KEPT = 20; // lines

/** What screen readers read out when they are done with what they read; nobody sees it. */
export class Region {
  constructor(label: string) {
    this._node.setAttribute('role', 'log');
    this._node.setAttribute('aria-live', 'polite');
    this._node.setAttribute('aria-label', label);
    document.body.append(this._node);
  }

  tell(lines: readonly string[]): void {
    this._node.append(...lines.map(line => element('p', '', line)));
    while (this._node.childElementCount > KEPT) {
      this._node.firstElementChild?.remove();
    }
  }

  private readonly _node = element('div', 'jp-CfaiLive');
}
