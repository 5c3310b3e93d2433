// Renders Markdown as JupyterLab does, without its sanitizer: one JSON text a line, one line of
// HTML as JSON for each. Takes the folder of node modules.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

globalThis.navigator ??= {};
const modules = process.argv[2];
const load = path => import(pathToFileURL(join(modules, path)));
const [{ marked, Renderer }, { gfmHeadingId }, { mangle }] = await Promise.all([
  load('marked/lib/marked.esm.js'),
  load('marked-gfm-heading-id/src/index.js'),
  load('marked-mangle/src/index.js')
]);
const source = await readFile(
  join(modules, '@jupyterlab/rendermime/lib/latex.js'),
  'utf-8'
);
const { removeMath, replaceMath } = await import(
  `data:text/javascript,${encodeURIComponent(source)}`
);
marked.use(gfmHeadingId());
marked.use(mangle());

// As @jupyterlab/markedparser-extension does for a language: it is not escaped there.
const escaped = text =>
  text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
const renderer = new Renderer();
const plain = renderer.code;
renderer.code = token =>
  token.lang
    ? `<pre><code class="language-${token.lang}">${escaped(token.text)}</code></pre>`
    : plain.call(renderer, token);

for await (const line of createInterface({ input: process.stdin })) {
  const { text, math } = removeMath(JSON.parse(line));
  const html = await marked(text, { async: true, gfm: true, renderer });
  let shown = '';
  try {
    shown = replaceMath(html, math);
  } catch (error) {
    // It looks up @@5@@ of a text where there are fewer formulas, and then shows nothing.
    if (!(error instanceof TypeError)) {
      throw error;
    }
  }
  process.stdout.write(`${JSON.stringify(shown)}\n`);
}
