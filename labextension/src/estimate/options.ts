/** The options of the first line of a %%cfai cell, by long name. */
export type Options = ReadonlyMap<string, readonly string[]>;

// Like ASK_OPTIONS of the kernel. --thread has an optional value.
const LONG: Readonly<Record<string, string>> = {
  '-m': '--model',
  '-s': '--system',
  '-c': '--thread',
  '-t': '--temperature',
  '-n': '--times',
  '-p': '--param',
  '-o': '--output',
  '-f': '--format',
  '-x': '--extract'
};
const VALUED = new Set([
  '--model',
  '--system',
  '--image',
  '--temperature',
  '--times',
  '--max-tokens',
  '--top-p',
  '--seed',
  '--stop',
  '--param',
  '--output',
  '--format',
  '--schema',
  '--tools',
  '--max-steps',
  '--task',
  '--from',
  '--to',
  '--save',
  '--max-neurons',
  '--gateway',
  '--footer'
]);
const BARE = new Set([
  '--raw',
  '--allow-tools',
  '--extract',
  '--think',
  '--no-stream',
  '--dry-run',
  '--sent'
]);
const LIKE_A_FLAG = /^-(?![\d.]+$)\S+$/;

/** Parse the words after the magic; null if the kernel would refuse them. */
export function options(words: readonly string[]): Options | null {
  const parsed = new Map<string, string[]>();
  for (let index = 0; index < words.length; index++) {
    const { flag, glued } = split(words[index]);
    const next = words[index + 1];
    const free = next !== undefined && !LIKE_A_FLAG.test(next);
    let value = glued;
    if (value === undefined && free && !BARE.has(flag)) {
      value = next;
      index++;
    }
    if (!fits(flag, value)) {
      return null;
    }
    parsed.set(flag, [...(parsed.get(flag) ?? []), value ?? '']);
  }
  return parsed;
}

function split(word: string): { flag: string; glued?: string } {
  const [, long, value] = /^(--[\w-]+)(?:=([^]*))?$/.exec(word) ?? [];
  if (long) {
    return { flag: long, glued: value };
  }
  const [, short, rest] = /^(-[A-Za-z])=?([^]*)$/.exec(word) ?? [];
  return { flag: LONG[short] ?? word, glued: rest || undefined };
}

function fits(flag: string, value: string | undefined): boolean {
  if (BARE.has(flag)) {
    return value === undefined;
  }
  return flag === '--thread' || (VALUED.has(flag) && value !== undefined);
}
