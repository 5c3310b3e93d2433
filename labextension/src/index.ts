import {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator } from '@jupyterlab/translation';

import accessibility from './accessibility/plugin';
import bridge from './bridge/plugin';
import codeBlocks from './code-blocks/plugin';
import completion from './completion/plugin';
import estimate from './estimate/plugin';
import explain from './explain/plugin';
import highlighting from './highlighting/plugin';
import meter from './meter/plugin';
import modelPicker from './model-picker/plugin';
import palette from './palette/plugin';
import panel from './panel/plugin';
import site from './site/plugin';
import stop from './stop/plugin';

/**
 * Translates the titles and descriptions of the settings. The server translates those of JupyterLab,
 * but only with the catalogs of language packs (jupyterlab_server 2.28). The contexts are the same.
 */
const settingsTranslation: JupyterFrontEndPlugin<void> = {
  id: 'cfai-magics:settings-translation',
  description: 'Translates the titles of the settings.',
  autoStart: true,
  requires: [ISettingRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    registry: ISettingRegistry,
    translator: ITranslator
  ): void => {
    const trans = translator.load('cfai_magics');
    const translate = (id: string): void => {
      const schema = registry.plugins[id]?.schema;
      if (!schema || !id.startsWith('cfai-magics:')) {
        return;
      }
      const properties = Object.values(schema.properties ?? {});
      for (const part of [schema, ...properties]) {
        const context = part === schema ? 'schema' : 'settings';
        /* eslint-disable jupyter/no-dynamic-translation -- the texts are in schema/*.json */
        part.title = part.title && trans._p(context, part.title);
        part.description =
          part.description && trans._p(context, part.description);
        /* eslint-enable jupyter/no-dynamic-translation */
      }
    };
    // A changed setting is loaded again, with its schema.
    registry.pluginChanged.connect((_, id) => translate(id));
    void app.started.then(() =>
      Object.keys(registry.plugins).forEach(translate)
    );
  }
};

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  accessibility,
  bridge,
  codeBlocks,
  completion,
  estimate,
  explain,
  highlighting,
  meter,
  modelPicker,
  palette,
  panel,
  settingsTranslation,
  site,
  stop
];

export default plugins;
