// Run pytest inside Pyodide: `node run.mjs PACKAGES REPOSITORY ARGUMENT…`.
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { IDBKeyRange, IDBObjectStore, indexedDB } from 'fake-indexeddb';
import { loadPyodide } from 'pyodide';

import { SyncRequest } from './sync_request.mjs';

/** Options of V8 that turn on JSPI, newest first. Node.js 25 needs none. */
const JSPI_OPTIONS = [
  '--experimental-wasm-jspi',
  '--experimental-wasm-stack-switching'
];

if (!('Suspending' in WebAssembly) && process.execArgv.length === 0) {
  const known = execFileSync(process.execPath, ['--v8-options'], {
    encoding: 'utf8'
  });
  const option = JSPI_OPTIONS.find(name => known.includes(`${name} `));
  const script = fileURLToPath(import.meta.url);
  const { status } = spawnSync(
    process.execPath,
    [option, script, ...process.argv.slice(2)],
    { stdio: 'inherit' }
  );
  process.exit(status ?? 1);
}

const [packages, repository, ...options] = process.argv.slice(2);
globalThis.XMLHttpRequest = SyncRequest;
// Pyodide uses the global names of browsers.
Object.assign(globalThis, { indexedDB, IDBKeyRange, IDBObjectStore });
const pyodide = await loadPyodide({
  env: { HOME: '/home/pyodide', STANDIN: process.env.STANDIN }
});
for (const [path, root] of [
  ['/packages', packages],
  ['/repository', repository]
]) {
  pyodide.FS.mkdirTree(path);
  pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root }, path);
}
pyodide.globals.set('options', pyodide.toPy(options));
const status = await pyodide.runPythonAsync(`
import os, sys
sys.path[:0] = ["/repository", "/packages"]
sys.dont_write_bytecode = True
os.chdir("/repository")
import pytest
int(pytest.main(list(options)))
`);
process.exit(status);
