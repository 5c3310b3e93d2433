import { Widget } from '@lumino/widgets';

const GAP = 4; // px

/** What opens at a button and closes with Escape, a click elsewhere, or the focus going away. */
export class Popover extends Widget {
  constructor(
    protected readonly anchor: HTMLElement,
    label: string
  ) {
    super();
    // Colours and fonts of Lab hold within this class only.
    this.addClass('jp-ThemedContainer');
    this.addClass('jp-CfaiPopover');
    this.node.setAttribute('role', 'dialog');
    this.node.setAttribute('aria-label', label);
    this.node.tabIndex = -1;
    // Else keys would be the notebook's.
    this.node.setAttribute('data-lm-suppress-shortcuts', 'true');
  }

  /** Show it, with the focus in it. */
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

  /** Put it above its button, or below where there is more room. */
  place(): void {
    const at = this.anchor.getBoundingClientRect();
    const { style } = this.node;
    const above = at.top > window.innerHeight - at.bottom;
    const room = above ? at.top : window.innerHeight - at.bottom;
    style.maxHeight = `${room - 2 * GAP}px`;
    style.top = above ? '' : `${at.bottom + GAP}px`;
    style.bottom = above ? `${window.innerHeight - at.top + GAP}px` : '';
    const most = window.innerWidth - this.node.offsetWidth - GAP;
    style.left = `${Math.max(GAP, Math.min(at.left, most))}px`;
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
