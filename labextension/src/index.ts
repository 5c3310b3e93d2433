import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import palette from './palette/plugin';
import prose from './prose/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [palette, prose];

export default plugins;
