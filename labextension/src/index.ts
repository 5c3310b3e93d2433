import { JupyterFrontEndPlugin } from '@jupyterlab/application';

import palette from './palette/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [palette];

export default plugins;
