import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Clipboard } from '@jupyterlab/apputils';
import { Cell, CodeCell } from '@jupyterlab/cells';
import {
  INotebookTracker,
  Notebook,
  NotebookActions
} from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import {
  ITranslator,
  nullTranslator,
  TranslationBundle
} from '@jupyterlab/translation';
import {
  addBelowIcon,
  checkIcon,
  copyIcon,
  LabIcon
} from '@jupyterlab/ui-components';

import { codeOfBlock, isCfaiSource } from '../cellSource';
import { insertCell, isWritable } from '../notebook';
import { followEnabled } from '../ui';

const ID = 'cfai-magics:code-blocks';
const TOOLBAR_CLASS = 'jp-CfaiCode';
const CONFIRMATION_TIME = 2000; // ms

/** Adds buttons to the code blocks of answers that copy the code or insert it into a cell. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Adds Copy and Insert buttons to code blocks of answers.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ISettingRegistry, ITranslator],
  activate: (
    _: JupyterFrontEnd,
    tracker: INotebookTracker,
    registry: ISettingRegistry | null,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    const codeBlocks = new CodeBlocks(trans);
    const addToNotebook = (notebook: Notebook): void =>
      notebook.widgets.forEach(cell => codeBlocks.add(notebook, cell));
    const follow = (notebook: Notebook): void => {
      // Cells far from the visible part of a notebook have no outputs yet.
      notebook.cellInViewportChanged.connect((_, cell) => {
        if (cell.inViewport) {
          codeBlocks.add(notebook, cell);
        }
      });
      addToNotebook(notebook);
    };
    tracker.forEach(({ content }) => follow(content));
    tracker.widgetAdded.connect((_, { content }) => follow(content));
    NotebookActions.executionScheduled.connect((_, { notebook, cell }) =>
      codeBlocks.add(notebook, cell)
    );
    void followEnabled(registry, ID, isEnabled => {
      codeBlocks.isEnabled = isEnabled;
      tracker.forEach(({ content }) => addToNotebook(content));
    });
  }
};

/** Keeps the toolbars of the code blocks in the outputs of all `%%cfai` and `%cfai` cells. */
class CodeBlocks {
  constructor(private readonly _trans: TranslationBundle) {
    this._status.className = 'jp-CfaiLive';
    this._status.setAttribute('role', 'status');
    document.body.append(this._status);
  }

  /** If false, `add` removes the toolbars of a cell. */
  isEnabled = false;

  /** Add toolbars to a cell, now and after each change of its outputs. */
  add(notebook: Notebook, cell: Cell): void {
    if (!(cell instanceof CodeCell) || cell.isDisposed) {
      return;
    }
    const { node } = cell.outputArea;
    if (!this._isAnswer(cell)) {
      node.querySelectorAll(`.${TOOLBAR_CLASS}`).forEach(it => it.remove());
    } else if (this._observed.has(node)) {
      this._addToolbars(notebook, cell);
    } else {
      this._observed.add(node);
      // JupyterLab has no signal for the end of rendering, and replaces all elements of an output.
      new MutationObserver(() => this._addToolbars(notebook, cell)).observe(
        node,
        { childList: true, subtree: true }
      );
      this._addToolbars(notebook, cell);
    }
  }

  private _isAnswer({ model }: CodeCell): boolean {
    return this.isEnabled && isCfaiSource(model.sharedModel.getSource());
  }

  private _addToolbars(notebook: Notebook, cell: CodeCell): void {
    const blocks = cell.outputArea.node.querySelectorAll('pre > code');
    if (blocks.length === 0 || !this._isAnswer(cell)) {
      return;
    }
    for (const block of blocks) {
      const { previousElementSibling, parentElement } =
        block.parentElement as HTMLElement;
      if (!previousElementSibling?.classList.contains(TOOLBAR_CLASS)) {
        parentElement?.insertBefore(
          this._createToolbar(notebook, cell, block),
          block.parentElement
        );
      }
    }
  }

  /**
   * Create the toolbar of a code block. It has no text, so that it is not part of a copied output,
   * and no height; its buttons overlap the block.
   */
  private _createToolbar(
    notebook: Notebook,
    cell: CodeCell,
    block: Element
  ): HTMLElement {
    const read = (): string => codeOfBlock(block.textContent ?? '');
    const buttons = document.createElement('div');
    buttons.className = 'jp-CfaiCode-buttons';
    // Enter must press the button, not edit the cell.
    buttons.setAttribute('data-lm-suppress-shortcuts', 'true');
    buttons.append(
      createButton(copyIcon, this._trans.__('Copy code'), button =>
        this._copy(read(), button)
      )
    );
    if (isWritable(notebook)) {
      const label = this._trans.__('Insert code in a new cell below');
      const insert = (): void =>
        void insertCell(notebook, notebook.widgets.indexOf(cell) + 1, read());
      buttons.append(createButton(addBelowIcon, label, insert));
    }
    const toolbar = document.createElement('div');
    toolbar.className = TOOLBAR_CLASS;
    toolbar.append(buttons);
    return toolbar;
  }

  /** Copy code and confirm it for a while: on the button, and to screen readers. */
  private _copy(code: string, button: HTMLButtonElement): void {
    // The Clipboard API of the browser is missing in pages without HTTPS.
    Clipboard.copyToSystem(code);
    const copied = this._trans.__('Copied');
    setButton(button, checkIcon, copied);
    this._status.textContent = copied;
    window.clearTimeout(this._timers.get(button));
    const reset = (): void => {
      setButton(button, copyIcon, this._trans.__('Copy code'));
      this._status.textContent = '';
    };
    this._timers.set(button, window.setTimeout(reset, CONFIRMATION_TIME));
  }

  private readonly _observed = new WeakSet<Node>();
  private readonly _status = document.createElement('div');
  private readonly _timers = new WeakMap<HTMLButtonElement, number>();
}

function createButton(
  icon: LabIcon,
  label: string,
  onClick: (button: HTMLButtonElement) => void
): HTMLButtonElement {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'jp-CfaiCode-button';
  setButton(button, icon, label);
  button.addEventListener('click', () => onClick(button));
  return button;
}

function setButton(
  button: HTMLButtonElement,
  icon: LabIcon,
  label: string
): void {
  button.title = label;
  button.setAttribute('aria-label', label);
  button.replaceChildren(icon.element({ tag: 'span' }));
}

export default plugin;
