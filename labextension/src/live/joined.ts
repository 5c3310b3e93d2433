const ENOUGH = 100; // characters that two texts share by no accident

/** The texts as one; what one has handed up to that before it, and still holds, counts once. */
export function joined(texts: readonly string[]): string {
  return texts.reduce(
    (above, below) => above + below.slice(overlap(above, below)),
    ''
  );
}

function overlap(above: string, below: string): number {
  const begin = below.slice(0, ENOUGH);
  let from = begin.length < ENOUGH ? -1 : above.indexOf(begin);
  while (from >= 0 && !below.startsWith(above.slice(from))) {
    from = above.indexOf(begin, from + 1);
  }
  return from < 0 ? 0 : above.length - from;
}
