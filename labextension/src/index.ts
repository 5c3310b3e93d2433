import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import explain from './explain/plugin';
import palette from './palette/plugin';
import prose from './prose/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [explain, palette, prose];

export default plugins;
