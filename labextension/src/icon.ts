import { LabIcon } from '@jupyterlab/ui-components';

import svgstr from '../style/icons/cfai.svg';

/** The mark of everything that asks: a percent sign in a speech bubble. */
export const cfaiIcon = new LabIcon({ name: 'cfai-magics:cfai', svgstr });
