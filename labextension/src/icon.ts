import { LabIcon } from '@jupyterlab/ui-components';

import svgstr from '../style/icons/cfai.svg';

/** The icon of all commands: a percent sign in a speech bubble. */
export const cfaiIcon = new LabIcon({ name: 'cfai-magics:cfai', svgstr });
