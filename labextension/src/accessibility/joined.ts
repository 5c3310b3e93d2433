const MIN_OVERLAP = 100; // characters; a shorter overlap can be a coincidence

/** Concatenate texts, dropping the overlap between the end of one and the start of the next. */
export function joined(texts: readonly string[]): string {
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
