/** The daily budget of a student, as the headers of responses report it. */

export interface Share {
  /** Neurons per day. */
  budget: number;
  /** Neurons that the student spent and reserved today, without the call that is answered. */
  spent: number;
}

export const SHARE_HEADERS = ['cfai-budget', 'cfai-spent'];

export function setShareHeaders(headers: Headers, share: Share): void {
  headers.set('cfai-budget', format(share.budget));
  headers.set('cfai-spent', format(share.spent));
}

/** Format neurons as a decimal number. Small numbers would have an exponent. */
function format(neurons: number): string {
  return String(Math.round(neurons * 1e6) / 1e6);
}
