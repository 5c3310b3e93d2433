/** A number of neurons with as many digits as matter, as the kernel writes it. */
export function neurons(amount: number): string {
  if (amount === 0 || amount >= 100) {
    return whole(amount);
  }
  return amount >= 1
    ? amount.toFixed(1)
    : String(Number(amount.toPrecision(2)));
}

/** A number without its fraction. */
export function whole(amount: number): string {
  return Math.round(amount).toLocaleString('en-US');
}

/** A moment, in seconds since 1970, as a clock shows it; here, or in a time zone. */
export function clock(moment: number, timeZone?: string): string {
  return new Date(moment * 1000).toLocaleTimeString('en-GB', {
    hour: '2-digit',
    minute: '2-digit',
    timeZone
  });
}

/** The last part of a model's name: what people type. */
export function short(model: string): string {
  return model.slice(model.lastIndexOf('/') + 1);
}
