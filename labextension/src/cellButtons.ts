import { CodeCell } from '@jupyterlab/cells';
import { LabIcon } from '@jupyterlab/ui-components';
import { PanelLayout, Widget } from '@lumino/widgets';

/** Buttons below the outputs of a cell. */
export class CellButtons extends Widget {
  constructor(buttons: readonly HTMLElement[]) {
    super();
    this.addClass('jp-CfaiCellButtons');
    // Otherwise Enter starts editing the cell.
    this.node.setAttribute('data-lm-suppress-shortcuts', 'true');
    this.node.append(...buttons);
  }
}

/** Attach the buttons below the outputs of their cell. */
export function attachButtons(cell: CodeCell, buttons: CellButtons): void {
  const layout = cell.layout as PanelLayout;
  layout.insertWidget(layout.widgets.length - 1, buttons);
}

/** Return a button with an icon. */
export function createButton(
  icon: LabIcon,
  label: string,
  onClick: () => void
): HTMLButtonElement {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'jp-CfaiButton jp-CfaiCellButton';
  icon.element({ container: button, tag: 'span' });
  button.append(label);
  button.addEventListener('click', onClick);
  return button;
}
