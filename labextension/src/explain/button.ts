import { Cell, CodeCell } from '@jupyterlab/cells';
import { PanelLayout, Widget } from '@lumino/widgets';

import { Follower } from '../clientTracker';
import { cfaiIcon } from '../icon';
import { isOurs } from '../magic';

const USER_INTERRUPT = 'KeyboardInterrupt';

/**
 * The button below a failed cell. It is removed if the error is cleared, the cell runs again, the
 * kernel stops, or the kernel unloads the extension.
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

/** Attach a button below the outputs of its cell. */
export function attachButton(cell: CodeCell, button: ExplainButton): void {
  const layout = cell.layout as PanelLayout;
  layout.insertWidget(layout.widgets.length - 1, button);
}

/** Return true for a cell with an error of user code, not of a %%cfai or %cfai command. */
export function isExplainable(cell: Cell): cell is CodeCell {
  return (
    cell instanceof CodeCell &&
    cell.model.executionCount !== null &&
    showsError(cell) &&
    !isOurs(cell.model.sharedModel.getSource())
  );
}

/** Return true if a cell shows an error other than an interrupt by the user. */
function showsError({ model }: CodeCell): boolean {
  return model.outputs
    .toJSON()
    .some(
      output =>
        output.output_type === 'error' && output.ename !== USER_INTERRUPT
    );
}

function node(label: string, onClick: () => void): HTMLElement {
  const container = document.createElement('div');
  // Otherwise Enter starts editing the cell.
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
