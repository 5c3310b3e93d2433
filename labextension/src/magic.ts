const FIRST_LINE = /^%%cfai(?=\s|$)/;
const COMMAND = /^\s*%cfai(?=\s|$)/;

/** Return true for a prompt cell: its first line starts with `%%cfai`. */
export function isQuestion(source: string): boolean {
  return FIRST_LINE.test(source);
}

/** Return true for a `%%cfai` cell or a `%cfai` command. */
export function isOurs(source: string): boolean {
  return isQuestion(source) || COMMAND.test(source);
}
