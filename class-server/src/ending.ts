/** Read the last bytes of an answer while it is passed on to the client. */

import type { Ending } from './usage';

/** Enough for the last frames of each format. */
export const TAIL_BYTES = 4096;
const BLOCK_BYTES = 65_536;
/** Frames that arrive during a pause are read at once, so a frame costs no JavaScript. */
const PAUSE_MS = 250;

/**
 * Read a copy of an answer to its end, and return its last 4 KiB.
 *
 * `readAtLeast` would delay the first token: both copies wait until the larger read is full.
 */
export async function readEnding(
  stream: ReadableStream<Uint8Array>
): Promise<{ ending: Ending; isComplete: boolean }> {
  const reader = stream.getReader({ mode: 'byob' });
  let block: Uint8Array<ArrayBufferLike> = new Uint8Array(BLOCK_BYTES);
  let tail = new Uint8Array();
  let bytes = 0;
  for (;;) {
    // A read fails if the upstream breaks off, or if the client disconnects.
    const result = await reader.read(block).catch(() => null);
    if (!result || result.done) {
      return { ending: { tail, bytes }, isComplete: result !== null };
    }
    const { value } = result;
    tail = appendBlock(tail, value);
    bytes += value.length;
    block = new Uint8Array(value.buffer);
    if (value.length < BLOCK_BYTES) {
      await scheduler.wait(PAUSE_MS);
    }
  }
}

function appendBlock(
  tail: Uint8Array,
  block: Uint8Array
): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(tail.length + block.length);
  joined.set(tail);
  joined.set(block, tail.length);
  return joined.slice(-TAIL_BYTES);
}
