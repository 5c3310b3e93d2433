import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import accessibility from './accessibility/plugin';
import bridge from './bridge/plugin';
import estimate from './estimate/plugin';
import explain from './explain/plugin';
import highlighting from './highlighting/plugin';
import meter from './meter/plugin';
import modelPicker from './model-picker/plugin';
import palette from './palette/plugin';
import panel from './panel/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  accessibility,
  bridge,
  estimate,
  explain,
  highlighting,
  meter,
  modelPicker,
  palette,
  panel
];

export default plugins;
