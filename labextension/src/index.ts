import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import bridge from './bridge/plugin';
import explain from './explain/plugin';
import palette from './palette/plugin';
import prose from './prose/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  bridge,
  explain,
  palette,
  prose
];

export default plugins;
