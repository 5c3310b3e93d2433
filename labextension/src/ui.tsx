import { LabIcon } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';

import svgstr from '../style/icons/cfai.svg';

/** The icon of all commands: a percent sign in a speech bubble. */
export const cfaiIcon = new LabIcon({ name: 'cfai-magics:cfai', svgstr });

/** Create an element with a class and children; strings become text nodes, never HTML. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  if (className) {
    node.className = className;
  }
  node.append(...children);
  return node;
}

/** Create a button with a click handler. */
export function button(
  className: string,
  label: string,
  onClick: () => void
): HTMLButtonElement {
  const node = element('button', className, label);
  node.type = 'button';
  node.addEventListener('click', onClick);
  return node;
}

const GAP = 4; // px

/** A popover at a button; it closes on Escape, a click outside, or loss of focus. */
export class Popover extends Widget {
  constructor(
    protected readonly anchor: HTMLElement,
    label: string
  ) {
    super();
    // JupyterLab's colors and fonts apply only inside this class.
    this.addClass('jp-ThemedContainer');
    this.addClass('jp-CfaiPopover');
    this.node.setAttribute('role', 'dialog');
    this.node.setAttribute('aria-label', label);
    this.node.tabIndex = -1;
    // Keys must not trigger the notebook's shortcuts.
    this.node.setAttribute('data-lm-suppress-shortcuts', 'true');
  }

  /** Show the popover and move the focus into it. */
  open(): void {
    Widget.attach(this, document.body);
    this.anchor.setAttribute('aria-expanded', 'true');
    document.addEventListener('pointerdown', this, true);
    this.node.addEventListener('keydown', this);
    this.node.addEventListener('focusout', this);
    window.addEventListener('resize', this);
    this.place();
    this.node.focus();
  }

  /** Place the popover above or below its button, on the side with more room. */
  place(): void {
    const at = this.anchor.getBoundingClientRect();
    const { style } = this.node;
    const above = at.top > window.innerHeight - at.bottom;
    const room = above ? at.top : window.innerHeight - at.bottom;
    style.maxHeight = `${room - 2 * GAP}px`;
    style.top = above ? '' : `${at.bottom + GAP}px`;
    style.bottom = above ? `${window.innerHeight - at.top + GAP}px` : '';
    const maxLeft = window.innerWidth - this.node.offsetWidth - GAP;
    style.left = `${Math.max(GAP, Math.min(at.left, maxLeft))}px`;
  }

  handleEvent(event: Event): void {
    if (event.type === 'resize') {
      this.place();
    } else if (event.type === 'keydown') {
      if ((event as KeyboardEvent).key === 'Escape') {
        event.stopPropagation();
        this.dispose();
        this.anchor.focus();
      }
    } else if (this._leaves(event)) {
      this.dispose();
    }
  }

  override dispose(): void {
    if (this.isDisposed) {
      return;
    }
    document.removeEventListener('pointerdown', this, true);
    window.removeEventListener('resize', this);
    this.anchor.setAttribute('aria-expanded', 'false');
    super.dispose();
  }

  private _leaves(event: Event): boolean {
    const to =
      event.type === 'focusout'
        ? (event as FocusEvent).relatedTarget
        : event.target;
    return (
      to instanceof Node && !this.node.contains(to) && !this.anchor.contains(to)
    );
  }
}
