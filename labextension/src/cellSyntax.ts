/** A token of the first line, for highlighting. */
export interface IPiece {
  readonly name: 'Magic' | 'Flag' | 'Value' | 'Number';
  readonly from: number;
  readonly to: number;
}

// Like the kernel: a quote counts only at the start of a word or of a value after "=".
const WORD =
  /--[\w-]+(?==)|(?:[^\s"'=]+=|=)?(["'])(?:\\\1|(?!\1).)*\1(?!\S)|\S+/g;
const FLAG = /^--?[A-Za-z][\w-]*$/;
const NUMBER = /^=?-?(?:\d+\.?\d*|\.\d+)$/;

/** Split the first line of a %%cfai cell into the magic, its flags and their values. */
export function pieces(line: string): IPiece[] {
  return [...line.matchAll(WORD)].map(({ 0: word, index }) => ({
    name: index === 0 ? 'Magic' : nameOf(word),
    from: index,
    to: index + word.length
  }));
}

/** Return true if the line has --raw, so that {{…}} is not evaluated. */
export function isRaw(line: string): boolean {
  return pieces(line).some(
    ({ name, from, to }) => name === 'Flag' && line.slice(from, to) === '--raw'
  );
}

function nameOf(word: string): IPiece['name'] {
  if (FLAG.test(word)) {
    return 'Flag';
  }
  return NUMBER.test(word) ? 'Number' : 'Value';
}

const SPLIT = /([^\s"'=]+=)?(["'])((?:\\\2|(?!\2).)*)\2(?!\S)|(\S+)/g;

/** Split a line into words like the kernel: quotes group words and are removed. */
export function words(line: string): string[] {
  return [...line.matchAll(SPLIT)].map(
    ([, key = '', quote, quoted, plain]) =>
      plain ?? key + quoted.split(`\\${quote}`).join(quote)
  );
}
