import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import bridge from './bridge/plugin';
import estimate from './estimate/plugin';
import explain from './explain/plugin';
import live from './live/plugin';
import meter from './meter/plugin';
import palette from './palette/plugin';
import picker from './picker/plugin';
import prose from './prose/plugin';

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
