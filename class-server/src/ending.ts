/** Pass a stream on unchanged, and read its last bytes at the end. */

import type { Ending } from './usage';

/** Enough for the last frames of each format. */
export const TAIL_BYTES = 4096;
const BLOCK_BYTES = 65_536;

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
 * The runtime copies the bytes without JavaScript, and stores a second copy, which is read at the
 * end. A read that waits for a block before the end would delay the client's copy as well.
 */
export function passOn(
  answer: ReadableStream<Uint8Array>,
  abort: () => void
): PassedAnswer {
  const [forClient, forUsage] = answer.tee();
  const { readable, writable } = new IdentityTransformStream();
  const passed = forClient.pipeTo(writable).then(
    () => true,
    () => false
  );
  const ended = passed.then(async isComplete => {
    if (!isComplete) {
      abort();
    }
    const ending = await readTail(forUsage, isComplete ? BLOCK_BYTES : 1);
    return { ending, isComplete };
  });
  return { stream: readable, ended };
}

/** Read a stored answer. An aborted one fails after its last bytes, so it is read in pieces. */
async function readTail(
  stream: ReadableStream<Uint8Array>,
  minimum: number
): Promise<Ending> {
  const reader = stream.getReader({ mode: 'byob' });
  let tail = new Uint8Array();
  let bytes = 0;
  let buffer = new ArrayBuffer(BLOCK_BYTES);
  for (;;) {
    const result = await reader
      .readAtLeast(minimum, new Uint8Array(buffer))
      .catch(() => null);
    if (!result || result.done) {
      return { tail, bytes };
    }
    tail = appendBlock(tail, result.value);
    bytes += result.value.length;
    buffer = result.value.buffer;
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
