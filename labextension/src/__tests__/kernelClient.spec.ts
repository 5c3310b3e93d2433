import { ISessionContext } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';

import { loadExtension } from '../kernelClient';

const trans = {
  __: (text: string, value: string) => text.replace('%1', value)
} as TranslationBundle;

/** A notebook whose kernel replies to each request with this content. */
function notebook(content: object) {
  const requests: object[] = [];
  const kernel = {
    requestExecute: (request: object) => {
      requests.push(request);
      return { done: Promise.resolve({ content }) };
    }
  };
  const session = { ready: Promise.resolve(), session: { kernel } };
  return { requests, session: session as unknown as ISessionContext };
}

describe('loadExtension', () => {
  it('runs %load_ext silently and without history', async () => {
    const { requests, session } = notebook({ status: 'ok' });
    await loadExtension(session, trans);
    expect(requests).toEqual([
      {
        code: '%load_ext cfai_magics',
        silent: true,
        store_history: false,
        stop_on_error: false
      }
    ]);
  });

  it.each([
    [{ status: 'error', evalue: "No module named 'cfai_magics'" }, 'No module'],
    [{ status: 'aborted' }, 'aborted']
  ])('reports %j', async (content, reason) => {
    const { session } = notebook(content);
    await expect(loadExtension(session, trans)).rejects.toThrow(
      `The kernel cannot load cfai_magics: ${reason}`
    );
  });

  it('reports a notebook without a kernel', async () => {
    const session = { ready: Promise.resolve(), session: null };
    await expect(
      loadExtension(session as unknown as ISessionContext, trans)
    ).rejects.toThrow('This notebook has no kernel');
  });
});
