/** Pass a stream on unchanged, and read its last bytes at the end. */

import type { Ending } from './usage';

/** Enough for the last frames of each format. */
export const TAIL_BYTES = 4096;
const BLOCK_BYTES = 65_536;
const PAUSE_MS = 1000;

/** An answer that is being passed on. */
export interface PassedAnswer {
  /** The bytes for the client. */
  stream: ReadableStream<Uint8Array>;
  /** The end of the answer. It is not complete if the client or the upstream disconnected. */
  ended: Promise<{ ending: Ending; isComplete: boolean }>;
}

/**
 * Pass an answer on. Call `abort` to end the upstream request if the client disconnects.
 *
 * The runtime copies the bytes without JavaScript. The second copy is read in large steps, so that
 * a client that reads nothing pays for what Workers AI sent.
 */
export function passOn(
  answer: ReadableStream<Uint8Array>,
  abort: () => void
): PassedAnswer {
  const [forClient, forUsage] = answer.tee();
  const { readable, writable } = new IdentityTransformStream();
  const passed = forClient.pipeTo(writable).catch(abort);
  return { stream: readable, ended: readEnding(forUsage, passed) };
}

/** Read a copy of an answer. Wait after each block until it is passed on, or for a pause. */
async function readEnding(
  stream: ReadableStream<Uint8Array>,
  passed: Promise<void>
): Promise<{ ending: Ending; isComplete: boolean }> {
  const reader = stream.getReader({ mode: 'byob' });
  let tail = new Uint8Array();
  let bytes = 0;
  let buffer = new ArrayBuffer(BLOCK_BYTES);
  for (;;) {
    // A larger minimum would delay the copy of the client.
    const result = await reader
      .readAtLeast(1, new Uint8Array(buffer))
      .catch(() => null);
    if (!result || result.done) {
      return { ending: { tail, bytes }, isComplete: result !== null };
    }
    tail = appendBlock(tail, result.value);
    bytes += result.value.length;
    buffer = result.value.buffer;
    if (result.value.length < BLOCK_BYTES) {
      await Promise.race([passed, scheduler.wait(PAUSE_MS)]);
    }
  }
}

function appendBlock(
  tail: Uint8Array,
  block: Uint8Array
): Uint8Array<ArrayBuffer> {
  if (block.length >= TAIL_BYTES) {
    return block.slice(-TAIL_BYTES);
  }
  const joined = new Uint8Array(tail.length + block.length);
  joined.set(tail);
  joined.set(block, tail.length);
  return joined.slice(-TAIL_BYTES);
}
