/** A stretch of the line that is coloured alike. */
export interface IPiece {
  readonly name: 'Magic' | 'Flag' | 'Value' | 'Number';
  readonly from: number;
  readonly to: number;
}

// As the kernel cuts the line: a quote counts only where a word, or the value behind a =, begins.
const WORD =
  /--[\w-]+(?==)|(?:[^\s"'=]+=|=)?(["'])(?:\\\1|(?!\1).)*\1(?!\S)|\S+/g;
const FLAG = /^--?[A-Za-z][\w-]*$/;
const NUMBER = /^=?-?(?:\d+\.?\d*|\.\d+)$/;

/** Cut the first line of a question into the magic, its flags and their values. */
export function pieces(line: string): IPiece[] {
  return [...line.matchAll(WORD)].map(({ 0: word, index }) => ({
    name: index === 0 ? 'Magic' : nameOf(word),
    from: index,
    to: index + word.length
  }));
}

/** Whether the line says that the text below goes out without anything filled in. */
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

/** Cut a line into words as the kernel does: quoted ones are whole, and without their quotes. */
export function words(line: string): string[] {
  return [...line.matchAll(SPLIT)].map(
    ([, key = '', quote, quoted, plain]) =>
      plain ?? key + quoted.split(`\\${quote}`).join(quote)
  );
}
