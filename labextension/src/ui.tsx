import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { LabIcon, ReactWidget } from '@jupyterlab/ui-components';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

/** The icon of all commands: a percent sign in a speech bubble. */
export const cfaiIcon = new LabIcon({
  name: 'cfai-magics:cfai',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 24 24">
  <path class="jp-icon3" fill="#616161" d="M4 3h16a2 2 0 0 1 2 2v11a2 2 0 0 1-2 2h-8l-5 4v-4H4a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zm0 2v11h5v2l2.5-2H20V5zm4.5 2a2 2 0 1 1 0 4 2 2 0 0 1 0-4zm0 1.2a.8.8 0 1 0 0 1.6.8.8 0 0 0 0-1.6zM15 7h1.5L9 14H7.500zm.5 3a2 2 0 1 1 0 4 2 2 0 0 1 0-4zm0 1.2a.8.8 0 1 0 0 1.6.8.8 0 0 0 0-1.6z"/>
</svg>`
});

/** Return the last part of a model name, which users type. */
export function shortName(model: string): string {
  return model.slice(model.lastIndexOf('/') + 1);
}

/** Pass the setting `enabled` of a plug-in to a function, now and after each change. */
export async function followEnabled(
  registry: ISettingRegistry | null,
  id: string,
  onChange: (isEnabled: boolean) => void
): Promise<void> {
  const settings = await registry?.load(id);
  const follow = (): void => onChange(settings?.composite.enabled !== false);
  settings?.changed.connect(follow);
  follow();
}

const GAP = 4; // px

/**
 * A dialog next to its button; it closes on Escape, a click outside, or loss of focus.
 *
 * This is not showPopup of @jupyterlab/statusbar, which has no role and no name, opens only above
 * its anchor, and stays open when the focus leaves it. It also moves the focus neither into the
 * popup nor back to the button (JupyterLab 4.6).
 */
export abstract class Popover extends ReactWidget {
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

  /** Show the popover next to its button and move the focus into it. */
  open(): void {
    Widget.attach(this, document.body);
    document.addEventListener('pointerdown', this, true);
    this.node.addEventListener('keydown', this);
    this.node.addEventListener('focusout', this);
    window.addEventListener('resize', this);
    this._place();
    this.node.focus();
  }

  handleEvent(event: Event): void {
    if (event.type === 'resize') {
      this._place();
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
    super.dispose();
  }

  /** Place the popover above or below its button, on the side with more room. */
  private _place(): void {
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

/** A button that opens and closes a popover. */
export abstract class PopoverButton extends ReactWidget {
  /** Return a popover at the button; null if there is nothing to show. */
  protected abstract createPopover(
    anchor: HTMLElement
  ): Promise<Popover | null>;

  /** The attributes of the button that assistive technology needs, and its click handler. */
  protected get buttonProps(): React.ButtonHTMLAttributes<HTMLButtonElement> {
    return {
      type: 'button',
      'aria-haspopup': 'dialog',
      'aria-expanded': this._popover !== null,
      onClick: event => void this._toggle(event.currentTarget)
    };
  }

  override dispose(): void {
    this._popover?.dispose();
    super.dispose();
  }

  private async _toggle(button: HTMLElement): Promise<void> {
    if (this._popover !== null) {
      this._popover.dispose();
      return;
    }
    const popover = await this.createPopover(button);
    // A second click can open a popover while the first one is being created.
    if (popover === null || this._popover !== null) {
      popover?.dispose();
      return;
    }
    this._popover = popover;
    popover.disposed.connect(this._onClosed, this);
    popover.open();
    this.update();
  }

  private _onClosed(): void {
    this._popover = null;
    this.update();
  }

  private _popover: Popover | null = null;
}
