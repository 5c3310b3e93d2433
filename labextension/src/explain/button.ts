import { Cell, CodeCell } from '@jupyterlab/cells';
import { PanelLayout, Widget } from '@lumino/widgets';

import { Follower } from '../bridges';
import { cfaiIcon } from '../icon';
import { isOurs } from '../magic';

const STOPPED_BY_HAND = 'KeyboardInterrupt';

/**
 * The button under a failed cell. It goes with the error: when that is cleared or the cell is run,
 * and with the bridge: when the kernel that knows of it ends, or unloads the extension.
 */
export class ExplainButton extends Widget {
  constructor(
    cell: CodeCell,
    follower: Follower,
    label: string,
    onClick: () => void
  ) {
    super({ node: node(label, onClick) });
    this.addClass('jp-CfaiExplain');
    this._cell = cell;
    this._follower = follower;
    const { bridge } = follower;
    cell.model.outputs.changed.connect(this._onOutputs, this);
    follower.changed.connect(() => {
      if (follower.bridge !== bridge) {
        this.dispose();
      }
    });
  }

  override dispose(): void {
    this._follower.dispose();
    super.dispose();
  }

  private _onOutputs(): void {
    if (!showsError(this._cell)) {
      this.dispose();
    }
  }

  private readonly _cell: CodeCell;
  private readonly _follower: Follower;
}

/** Put a button below the outputs of its cell. */
export function attachButton(cell: CodeCell, button: ExplainButton): void {
  const layout = cell.layout as PanelLayout;
  layout.insertWidget(layout.widgets.length - 1, button);
}

/** Whether the kernel can explain what happened to a cell: an error, and none of our own. */
export function isExplainable(cell: Cell): cell is CodeCell {
  return (
    cell instanceof CodeCell &&
    cell.model.executionCount !== null &&
    showsError(cell) &&
    !isOurs(cell.model.sharedModel.getSource())
  );
}

/** Whether a cell shows an error that is not the user's own interrupt. */
function showsError({ model }: CodeCell): boolean {
  return model.outputs
    .toJSON()
    .some(
      output =>
        output.output_type === 'error' && output.ename !== STOPPED_BY_HAND
    );
}

function node(label: string, onClick: () => void): HTMLElement {
  const container = document.createElement('div');
  // Else Enter would be the notebook's, that edits the cell.
  container.setAttribute('data-lm-suppress-shortcuts', 'true');
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'jp-CfaiExplain-button';
  cfaiIcon.element({ container: button, tag: 'span' });
  button.append(label);
  button.addEventListener('click', onClick);
  container.append(button);
  return container;
}
