import { ISessionContext } from '@jupyterlab/apputils';
import { CodeCell } from '@jupyterlab/cells';
import { Kernel } from '@jupyterlab/services';
import { PanelLayout, Widget } from '@lumino/widgets';

import { cfaiIcon } from '../icon';

const STOPPED_BY_HAND = 'KeyboardInterrupt';

/**
 * The button under a failed cell. It goes with the error: when that is cleared or the cell is run,
 * and when the kernel that knows of it ends.
 */
export class ExplainButton extends Widget {
  constructor(
    cell: CodeCell,
    session: ISessionContext,
    label: string,
    onClick: () => void
  ) {
    super({ node: node(label, onClick) });
    this.addClass('jp-CfaiExplain');
    this._cell = cell;
    cell.model.outputs.changed.connect(this._onOutputs, this);
    session.statusChanged.connect(this._onStatus, this);
    session.kernelChanged.connect(this.dispose, this);
  }

  private _onOutputs(): void {
    if (!showsError(this._cell)) {
      this.dispose();
    }
  }

  private _onStatus(_: ISessionContext, status: Kernel.Status): void {
    if (status === 'restarting' || status === 'autorestarting') {
      this.dispose();
    }
  }

  private readonly _cell: CodeCell;
}

/** Put a button below the outputs of its cell. */
export function attachButton(cell: CodeCell, button: ExplainButton): void {
  const layout = cell.layout as PanelLayout;
  layout.insertWidget(layout.widgets.length - 1, button);
}

/** Whether a cell shows an error that is not the user's own interrupt. */
export function showsError({ model }: CodeCell): boolean {
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
