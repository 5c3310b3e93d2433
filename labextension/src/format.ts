/** Format a number of neurons with its significant digits, like the kernel. */
export function neurons(amount: number): string {
  if (amount === 0 || amount >= 100) {
    return whole(amount);
  }
  return amount >= 1
    ? amount.toFixed(1)
    : String(Number(amount.toPrecision(2)));
}

/** Format a number without its fraction. */
export function whole(amount: number): string {
  return Math.round(amount).toLocaleString('en-US');
}

/** Format seconds since 1970 as hours and minutes, in local time or in a time zone. */
export function clock(moment: number, timeZone?: string): string {
  return new Date(moment * 1000).toLocaleTimeString('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    timeZone
  });
}

/** Return the last part of a model name, which users type. */
export function short(model: string): string {
  return model.slice(model.lastIndexOf('/') + 1);
}
