import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import bridge from './bridge/plugin';
import estimate from './estimate/plugin';
import explain from './explain/plugin';
import live from './accessibility/plugin';
import meter from './meter/plugin';
import palette from './palette/plugin';
import picker from './model-picker/plugin';
import prose from './highlighting/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  bridge,
  estimate,
  explain,
  live,
  meter,
  palette,
  picker,
  prose
];

export default plugins;
