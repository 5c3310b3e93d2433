// A sentence ends with a punctuation mark and a space, or at the end of the line.
const END = /[.!?:…]["')\]*_]*(?=\s)|[。！？：]["'」』）]*|\n/g;
const MARKS = /[*_`#>|]+/g;

/** Splits a streamed answer into sentences and returns each complete one once. */
export class Sentences {
  /** Return the sentences of the text so far that were completed since the last call. */
  next(text: string, ended: boolean): string[] {
    const plain = text.replace(MARKS, '').trimStart();
    if (!plain.startsWith(this._announced)) {
      // Another answer, or a restarted one: skip only the part that is unchanged.
      this._announced = plain.slice(0, shared(plain, this._announced));
    }
    const rest = plain.slice(this._announced.length);
    const end = ended ? rest.length : lastEnd(rest);
    this._announced += rest.slice(0, end);
    return cut(rest.slice(0, end));
  }

  private _announced = '';
}

function lastEnd(text: string): number {
  const ends = [...text.matchAll(END)];
  const last = ends[ends.length - 1];
  return last ? last.index + last[0].length : 0;
}

function cut(text: string): string[] {
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
function shared(one: string, other: string): number {
  let length = 0;
  while (length < one.length && one[length] === other[length]) {
    length++;
  }
  return length;
}
