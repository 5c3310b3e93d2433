// A sentence ends with its mark and a space, a line that is none with the line.
const END = /[.!?:…]["')\]*_]*(?=\s)|[。！？：]["'」』）]*|\n/g;
const MARKS = /[*_`#>|]+/g;

/** Tells the sentences of an answer as they are finished, each once. */
export class Sentences {
  /** Take in the whole text so far; return what is finished since the last time. */
  next(text: string, ended: boolean): string[] {
    const plain = text.replace(MARKS, '').trimStart();
    if (!plain.startsWith(this._told)) {
      // Another answer, or one that begins anew: what was told stands.
      this._told = plain.slice(0, shared(plain, this._told));
    }
    const rest = plain.slice(this._told.length);
    const end = ended ? rest.length : lastEnd(rest);
    this._told += rest.slice(0, end);
    return cut(rest.slice(0, end));
  }

  private _told = '';
}

function lastEnd(text: string): number {
  const ends = [...text.matchAll(END)];
  const last = ends[ends.length - 1];
  return last ? last.index + last[0].length : 0;
}

function cut(text: string): string[] {
  const found: string[] = [];
  let from = 0;
  for (const { 0: mark, index } of text.matchAll(END)) {
    found.push(text.slice(from, index + mark.length));
    from = index + mark.length;
  }
  return [...found, text.slice(from)]
    .map(each => each.replace(/\s+/g, ' ').trim())
    .filter(Boolean);
}

/** How far two texts are the same. */
function shared(one: string, other: string): number {
  let length = 0;
  while (length < one.length && one[length] === other[length]) {
    length++;
  }
  return length;
}
