import { CodeCell } from '@jupyterlab/cells';

import { Sentences } from './sentences';
import { joined } from './joined';

const PAUSE = 1000; // ms: a reader takes longer for a sentence, and the page has other work

/** Follows the answer that comes into a cell. */
export class AnswerFollower {
  constructor(
    private readonly _cell: CodeCell,
    private readonly _tell: (sentences: string[]) => void
  ) {
    _cell.model.outputs.changed.connect(this._soon, this);
  }

  /** The cell has ended: what is left of the answer is finished. */
  end(): void {
    window.clearTimeout(this._timer);
    this._cell.model?.outputs.changed.disconnect(this._soon, this);
    this._take(true);
  }

  private _soon(): void {
    if (this._timer === 0) {
      this._timer = window.setTimeout(() => {
        this._timer = 0;
        this._take(false);
      }, PAUSE);
    }
  }

  private _take(ended: boolean): void {
    const text = this._cell.isDisposed ? '' : joined(this._texts());
    const told = text ? this._sentences.next(text, ended) : [];
    if (told.length) {
      this._tell(told);
    }
  }

  /** The Markdown of the cell's outputs: what is settled, and the open end below it. */
  private _texts(): string[] {
    const { outputs } = this._cell.model;
    const texts: string[] = [];
    for (let index = 0; index < outputs.length; index++) {
      const text = outputs.get(index).data['text/markdown'];
      if (typeof text === 'string') {
        texts.push(text);
      }
    }
    return texts;
  }

  private readonly _sentences = new Sentences();
  private _timer = 0;
}
