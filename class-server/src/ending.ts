/** Pass an answer on unchanged, and keep its last bytes. */

import type { Ending } from './usage';

/** Enough for the last frames of each format. */
const TAIL_BYTES = 4096;

/**
 * Return a stream with the bytes of an answer, and call `onEnd` once when it ends.
 *
 * A chunk is only counted and kept: the usage is read once, at the end. If the client disconnects
 * or the upstream breaks off, the answer is not complete, and the upstream request is aborted.
 */
export function passOn(
  answer: ReadableStream<Uint8Array>,
  onEnd: (ending: Ending, isComplete: boolean) => Promise<void>
): ReadableStream<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let kept = 0;
  const end = (isComplete: boolean) =>
    onEnd({ tail: joinTail(chunks), bytes }, isComplete);
  return answer.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        controller.enqueue(chunk);
        chunks.push(chunk);
        bytes += chunk.length;
        kept += chunk.length;
        while (kept - (chunks[0] as Uint8Array).length >= TAIL_BYTES) {
          kept -= (chunks.shift() as Uint8Array).length;
        }
      },
      flush: () => end(true),
      // `flush` does not run after a disconnect.
      cancel: () => end(false)
    })
  );
}

function joinTail(chunks: Uint8Array[]): Uint8Array {
  const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const joined = new Uint8Array(size);
  let position = 0;
  for (const chunk of chunks) {
    joined.set(chunk, position);
    position += chunk.length;
  }
  return joined.slice(-TAIL_BYTES);
}
