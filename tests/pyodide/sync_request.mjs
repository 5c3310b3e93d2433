// A synchronous XMLHttpRequest for Node.js: a worker thread sends the request with `fetch`.
import { Worker } from 'node:worker_threads';

const MAX_BYTES = 2 ** 24;

/** Answer each message with JSON in its shared memory, after the length of the JSON. */
const WORKER = `
const { parentPort } = require('node:worker_threads');
parentPort.on('message', async ({ method, url, headers, body, memory }) => {
  let answer = {};
  try {
    const response = await fetch(url, { method, headers, body });
    const content = Buffer.from(await response.arrayBuffer()).toString('base64');
    answer = { status: response.status, headers: [...response.headers], content };
  } catch {}
  const bytes = Buffer.from(JSON.stringify(answer));
  new Uint8Array(memory, 4).set(bytes);
  const length = new Int32Array(memory, 0, 1);
  Atomics.store(length, 0, bytes.length);
  Atomics.notify(length, 0);
});
`;
const worker = new Worker(WORKER, { eval: true });
worker.unref();

export class SyncRequest {
  #request = { headers: {} };
  #answer = { headers: [] };

  open(method, url) {
    Object.assign(this.#request, { method, url });
  }

  setRequestHeader(name, value) {
    this.#request.headers[name] = value;
  }

  send(body) {
    const memory = new SharedArrayBuffer(MAX_BYTES);
    const length = new Int32Array(memory, 0, 1);
    worker.postMessage({ ...this.#request, body: body ?? undefined, memory });
    if (Atomics.wait(length, 0, 0, this.timeout) === 'timed-out') {
      throw new DOMException('no answer', 'TimeoutError');
    }
    const bytes = Buffer.from(memory, 4, length[0]);
    this.#answer = JSON.parse(bytes.toString());
    if (this.#answer.status === undefined) {
      throw new DOMException('no connection', 'NetworkError');
    }
  }

  get status() {
    return this.#answer.status;
  }

  get response() {
    return new Uint8Array(Buffer.from(this.#answer.content, 'base64')).buffer;
  }

  getAllResponseHeaders() {
    return this.#answer.headers
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
  }
}
