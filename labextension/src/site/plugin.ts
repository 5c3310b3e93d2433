import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

const KERNEL_PLUGIN = '@jupyterlite/pyodide-kernel-extension:kernel';

/** Says in a JupyterLite site if Python can't be loaded: JupyterLite itself only shows an icon. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'cfai-magics:site',
  description: 'Reports if a site in the browser cannot load Python.',
  autoStart: true,
  optional: [ITranslator],
  activate: (_: JupyterFrontEnd, translator: ITranslator | null): void => {
    const trans = (translator ?? nullTranslator).load('cfai_magics');
    const url = pyodideUrl();
    if (url !== null) {
      // The kernel loads the same file, so it comes from the cache of the browser.
      void canLoad(url).then(isLoaded => {
        if (!isLoaded) {
          Notification.error(
            trans.__(
              'Python could not be loaded from %1. Check the network, then reload the page. Your notebooks are kept.',
              url.host
            ),
            { autoClose: false }
          );
        }
      });
    }
  }
};

/** Return the address of Pyodide; null if this is not a site of `cfai lite build`. */
function pyodideUrl(): URL | null {
  const settings = JSON.parse(
    PageConfig.getOption('litePluginSettings') || '{}'
  ) as Record<string, { pyodideUrl?: string } | undefined>;
  const address = settings[KERNEL_PLUGIN]?.pyodideUrl;
  return address === undefined ? null : new URL(address, document.baseURI);
}

async function canLoad(url: URL): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}

export default plugin;
