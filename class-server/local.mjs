/**
 * Run the class server in workerd on this machine, for tests and the benchmark.
 *
 * As a program (`node local.mjs`), it reads one line of JSON with the options of `startServer`
 * from its input, prints one line of JSON with the address, and ends when its input ends.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { Miniflare } from 'miniflare';

const VARIABLES = {
  API_BASE: '',
  CLASS_NAME: 'class',
  CLOUDFLARE_ACCOUNT_ID: 'account',
  CLOUDFLARE_API_TOKEN: 'token',
  ADMIN_KEY_HASH: '',
  ALLOWED_ORIGINS: '',
  GATEWAY: ''
};

/**
 * Start the class server, or another script, with variables of the Worker. `folder` stores the
 * state of the class; without it, the state is lost at the end. `worker` is the folder of the Worker.
 */
export async function startServer({
  variables = {},
  folder,
  script,
  worker = import.meta.dirname
} = {}) {
  const texts = Object.entries({ ...VARIABLES, ...variables }).map(
    ([name, value]) => [name, { type: 'text', value }]
  );
  const server = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    telemetry: { enabled: false },
    ...(folder && { resourcePersistencePath: folder }),
    workers: [
      {
        config: {
          name: 'server',
          compatibilityDate: '2026-10-01',
          compatibilityFlags: ['enable_request_signal'],
          manifest: {
            mainModule: 'index.js',
            modules: {
              'index.js': {
                type: 'esm',
                contents: script ?? (await bundle(worker))
              }
            }
          },
          env: {
            ...Object.fromEntries(texts),
            ...(!script && {
              CLASSES: {
                type: 'durable-object',
                worker: 'server',
                exportName: 'ClassBudget'
              }
            })
          },
          exports: script
            ? {}
            : { ClassBudget: { type: 'durable-object', storage: 'sqlite' } }
        }
      }
    ]
  });
  return { server, url: String(await server.ready) };
}

async function bundle(worker) {
  const result = await build({
    absWorkingDir: worker,
    entryPoints: ['src/index.ts'],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    external: ['cloudflare:workers'],
    write: false
  });
  return result.outputFiles[0].text;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const input = createInterface({ input: process.stdin });
  const ended = once(input, 'close');
  const [line] = await once(input, 'line');
  const { server, url } = await startServer(JSON.parse(line));
  console.log(JSON.stringify({ url }));
  await ended;
  await server.dispose();
}
