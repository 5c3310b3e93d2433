import { CodeCell } from '@jupyterlab/cells';
import { TranslationBundle } from '@jupyterlab/translation';

import {
  formatInteger,
  formatNeurons,
  level,
  Level,
  usedNeurons
} from '../dayUsage';
import { IDayUsage } from '../protocol';

const MAX_LINES = 20;
const PAUSE = 1000; // ms, shorter than a spoken sentence

/** A visually hidden live region; screen readers read new lines after their current text. */
export class LiveRegion {
  constructor(label: string) {
    this._node.className = 'jp-CfaiLive';
    this._node.setAttribute('role', 'log');
    this._node.setAttribute('aria-live', 'polite');
    this._node.setAttribute('aria-label', label);
    document.body.append(this._node);
  }

  announce(lines: readonly string[]): void {
    for (const line of lines) {
      const paragraph = document.createElement('p');
      paragraph.textContent = line;
      this._node.append(paragraph);
    }
    while (this._node.childElementCount > MAX_LINES) {
      this._node.firstElementChild?.remove();
    }
  }

  private readonly _node = document.createElement('div');
}

/** Announces the sentences of an answer while it is streamed into a cell. */
export class AnswerAnnouncer {
  constructor(
    private readonly _cell: CodeCell,
    private readonly _announce: (sentences: string[]) => void
  ) {
    _cell.model.outputs.changed.connect(this._schedule, this);
  }

  /** Announce the rest of the answer, because the cell has finished. */
  end(): void {
    window.clearTimeout(this._timer);
    this._cell.model?.outputs.changed.disconnect(this._schedule, this);
    this._update(true);
  }

  private _schedule(): void {
    if (this._timer === 0) {
      this._timer = window.setTimeout(() => {
        this._timer = 0;
        this._update(false);
      }, PAUSE);
    }
  }

  private _update(ended: boolean): void {
    const text = this._cell.isDisposed ? '' : mergeOutputs(this._texts());
    const sentences = text ? this._sentences.feed(text, ended) : [];
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

  private readonly _sentences = new SentenceSplitter();
  private _timer = 0;
}

// A sentence ends with a punctuation mark and a space, or at the end of the line.
const END = /[.!?:…]["')\]*_]*(?=\s)|[。！？：]["'」』）]*|\n/g;
const MARKS = /[*_`#>|]+/g;

/** Splits a streamed answer into sentences and returns each complete one once. */
export class SentenceSplitter {
  /** Return the sentences of the text so far that were completed since the last call. */
  feed(text: string, ended: boolean): string[] {
    const plain = text.replace(MARKS, '').trimStart();
    if (!plain.startsWith(this._announced)) {
      // Another answer, or a restarted one: skip only the part that is unchanged.
      this._announced = plain.slice(
        0,
        commonPrefixLength(plain, this._announced)
      );
    }
    const rest = plain.slice(this._announced.length);
    const end = ended ? rest.length : lastEnd(rest);
    this._announced += rest.slice(0, end);
    return splitSentences(rest.slice(0, end));
  }

  private _announced = '';
}

function lastEnd(text: string): number {
  const ends = [...text.matchAll(END)];
  const last = ends[ends.length - 1];
  return last ? last.index + last[0].length : 0;
}

function splitSentences(text: string): string[] {
  const sentences: string[] = [];
  let from = 0;
  for (const { 0: mark, index } of text.matchAll(END)) {
    sentences.push(text.slice(from, index + mark.length));
    from = index + mark.length;
  }
  return [...sentences, text.slice(from)]
    .map(each => each.replace(/\s+/g, ' ').trim())
    .filter(Boolean);
}

/** Return the length of the common prefix of two texts. */
function commonPrefixLength(one: string, other: string): number {
  let length = 0;
  while (length < one.length && one[length] === other[length]) {
    length++;
  }
  return length;
}

const MIN_OVERLAP = 100; // characters; a shorter overlap can be a coincidence

/** Concatenate texts, dropping the overlap between the end of one and the start of the next. */
export function mergeOutputs(texts: readonly string[]): string {
  return texts.reduce(
    (above, below) => above + below.slice(overlap(above, below)),
    ''
  );
}

function overlap(above: string, below: string): number {
  const start = below.slice(0, MIN_OVERLAP);
  let from = start.length < MIN_OVERLAP ? -1 : above.indexOf(start);
  while (from >= 0 && !below.startsWith(above.slice(from))) {
    from = above.indexOf(start, from + 1);
  }
  return from < 0 ? 0 : above.length - from;
}

const ORDER: readonly Level[] = ['green', 'amber', 'red'];

/** Announces the neuron counter only when it passes 80 and 100 percent. */
export class ThresholdAnnouncer {
  constructor(private readonly _trans: TranslationBundle) {}

  /** Return the announcement for a new usage; null if it passed no threshold. */
  update(day: IDayUsage): string | null {
    const [before, now] = [this._level, level(day)];
    this._level = now;
    if (before === null || ORDER.indexOf(now) <= ORDER.indexOf(before)) {
      return null;
    }
    return this._line(day, now);
  }

  private _line(day: IDayUsage, now: Level): string {
    const trans = this._trans;
    if (day.closed) {
      return trans.__(
        "Cloudflare reports that today's free neurons are used up. They reset at 00:00 UTC."
      );
    }
    const figures = [formatNeurons(usedNeurons(day)), formatInteger(day.limit)];
    if (day.source === 'class') {
      return now === 'red'
        ? trans.__('All of your class budget is used: %1 of %2', ...figures)
        : trans.__(
            '80 percent of your class budget is used: %1 of %2',
            ...figures
          );
    }
    return now === 'red'
      ? trans.__("All of today's neurons are used: %1 of %2", ...figures)
      : trans.__(
          "80 percent of today's neurons are used: %1 of %2",
          ...figures
        );
  }

  private _level: Level | null = null;
}
