import { TranslationBundle } from '@jupyterlab/translation';

import { element } from '../dom';
import { neurons } from '../format';

const SVG = 'http://www.w3.org/2000/svg';
const [BAR, GAP, HEIGHT] = [8, 2, 48];

/** Today's neurons by hour as bars, and in words for who can't see them. */
export function chart(
  hours: readonly number[],
  trans: TranslationBundle
): HTMLElement {
  const most = Math.max(...hours);
  const svg = document.createElementNS(SVG, 'svg');
  const width = hours.length * (BAR + GAP) - GAP;
  svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', told(hours, trans));
  hours.forEach((amount, hour) => {
    const height = most > 0 ? (amount / most) * HEIGHT : 0;
    svg.append(bar(hour, Math.max(height, 1), amount > 0));
  });
  const axis = element('div', 'jp-CfaiDetails-axis');
  axis.append(
    ...['00', '06', '12', '18', '24'].map(hour => element('span', '', hour))
  );
  axis.setAttribute('aria-hidden', 'true');
  const title = trans.__('By hour, UTC; highest %1', neurons(most));
  return element(
    'figure',
    'jp-CfaiDetails-chart',
    element('figcaption', '', title),
    svg,
    axis
  );
}

function bar(hour: number, height: number, filled: boolean): SVGElement {
  const made = document.createElementNS(SVG, 'rect');
  const place = { x: hour * (BAR + GAP), y: HEIGHT - height };
  Object.entries({ ...place, width: BAR, height }).forEach(([name, value]) =>
    made.setAttribute(name, String(value))
  );
  made.setAttribute('class', filled ? 'jp-mod-filled' : '');
  return made;
}

function told(hours: readonly number[], trans: TranslationBundle): string {
  const busy = hours
    .map((amount, hour) => ({ amount, hour }))
    .filter(({ amount }) => amount > 0)
    .map(({ amount, hour }) =>
      trans.__('%1 o’clock: %2', hour, neurons(amount))
    );
  return [trans.__('Neurons by hour, UTC'), ...busy].join('; ');
}
