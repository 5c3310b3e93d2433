import { CodeCell } from '@jupyterlab/cells';

import { Sentences } from './sentences';
import { joined } from './joined';

const PAUSE = 1000; // ms, shorter than a spoken sentence

/** Announces the sentences of an answer while it is streamed into a cell. */
export class AnswerFollower {
  constructor(
    private readonly _cell: CodeCell,
    private readonly _announce: (sentences: string[]) => void
  ) {
    _cell.model.outputs.changed.connect(this._soon, this);
  }

  /** Announce the rest of the answer, because the cell has finished. */
  end(): void {
    window.clearTimeout(this._timer);
    this._cell.model?.outputs.changed.disconnect(this._soon, this);
    this._update(true);
  }

  private _soon(): void {
    if (this._timer === 0) {
      this._timer = window.setTimeout(() => {
        this._timer = 0;
        this._update(false);
      }, PAUSE);
    }
  }

  private _update(ended: boolean): void {
    const text = this._cell.isDisposed ? '' : joined(this._texts());
    const sentences = text ? this._sentences.next(text, ended) : [];
    if (sentences.length) {
      this._announce(sentences);
    }
  }

  /** Return the Markdown of the cell's outputs: the completed part, and the rest below it. */
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
