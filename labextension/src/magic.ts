const FIRST_LINE = /^%%cfai(?=\s|$)/;
const COMMAND = /^\s*%cfai(?=\s|$)/;

/** Whether the source of a cell is a question: its first line begins with `%%cfai`. */
export function isQuestion(source: string): boolean {
  return FIRST_LINE.test(source);
}

/** Whether the source of a cell is ours: a question, or a `%cfai` command. */
export function isOurs(source: string): boolean {
  return isQuestion(source) || COMMAND.test(source);
}
