/** Run the class server in workerd on this machine, for the benchmark and for tests over HTTP. */
import { createHash } from 'node:crypto';

import { build } from 'esbuild';
import { Miniflare } from 'miniflare';

/** Start the server with an address as Cloudflare's API. Return it with the key of a student. */
export async function startServer(apiBase) {
  const bundle = await build({
    entryPoints: ['src/index.ts'],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    external: ['cloudflare:workers'],
    write: false
  });
  const object = {
    type: 'durable-object',
    worker: 'server',
    exportName: 'ClassBudget'
  };
  const exports = {
    ClassBudget: { type: 'durable-object', storage: 'sqlite' }
  };
  const { server, url } = await startWorker(
    bundle.outputFiles[0].text,
    apiBase,
    object,
    exports
  );
  const admin = (path, method, body) =>
    fetch(`${url}admin/${path}`, {
      method,
      headers: { authorization: 'Bearer admin-key' },
      body: JSON.stringify(body)
    }).then(response => response.json());
  await admin('class', 'PATCH', { budget: 1e6, share: 1e6 });
  const { key } = await admin('students', 'POST', { name: 'Ada' });
  return { server, url, key };
}

/** Start a Worker without bindings to objects. */
export async function startWorker(script, apiBase, object, exports = {}) {
  const text = value => ({ type: 'text', value });
  const server = new Miniflare({
    host: '127.0.0.1',
    port: 0,
    telemetry: { enabled: false },
    workers: [
      {
        config: {
          name: 'server',
          compatibilityDate: '2026-10-01',
          compatibilityFlags: ['enable_request_signal'],
          manifest: {
            mainModule: 'index.js',
            modules: { 'index.js': { type: 'esm', contents: script } }
          },
          env: {
            API_BASE: text(apiBase),
            CLASS_NAME: text('class'),
            CLOUDFLARE_ACCOUNT_ID: text('account'),
            CLOUDFLARE_API_TOKEN: text('token'),
            ADMIN_KEY_HASH: text(
              createHash('sha256').update('admin-key').digest('hex')
            ),
            ALLOWED_ORIGINS: text(''),
            GATEWAY: text(''),
            ...(object && { CLASSES: object })
          },
          exports
        }
      }
    ]
  });
  return { server, url: String(await server.ready) };
}
