import { TranslationBundle } from '@jupyterlab/translation';

import { formatNeurons } from '../dayUsage';
import { element } from '../ui';

const SVG = 'http://www.w3.org/2000/svg';
const [BAR, GAP, HEIGHT] = [8, 2, 48];

/** Return a bar chart of today's neurons by hour, with a text alternative. */
export function chart(
  hours: readonly number[],
  trans: TranslationBundle
): HTMLElement {
  const highest = Math.max(...hours);
  const svg = document.createElementNS(SVG, 'svg');
  const width = hours.length * (BAR + GAP) - GAP;
  svg.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', describeHours(hours, trans));
  hours.forEach((amount, hour) => {
    const height = highest > 0 ? (amount / highest) * HEIGHT : 0;
    svg.append(bar(hour, Math.max(height, 1), amount > 0));
  });
  const axis = element('div', 'jp-CfaiDetails-axis');
  axis.append(
    ...['00', '06', '12', '18', '24'].map(hour => element('span', '', hour))
  );
  axis.setAttribute('aria-hidden', 'true');
  const title = trans.__('By hour (UTC), highest: %1', formatNeurons(highest));
  return element(
    'figure',
    'jp-CfaiDetails-chart',
    element('figcaption', '', title),
    svg,
    axis
  );
}

function bar(hour: number, height: number, filled: boolean): SVGElement {
  const rect = document.createElementNS(SVG, 'rect');
  const position = { x: hour * (BAR + GAP), y: HEIGHT - height };
  Object.entries({ ...position, width: BAR, height }).forEach(([name, value]) =>
    rect.setAttribute(name, String(value))
  );
  rect.setAttribute('class', filled ? 'jp-mod-filled' : '');
  return rect;
}

function describeHours(
  hours: readonly number[],
  trans: TranslationBundle
): string {
  const busy = hours
    .map((amount, hour) => ({ amount, hour }))
    .filter(({ amount }) => amount > 0)
    .map(({ amount, hour }) =>
      trans.__('%1:00: %2', hour, formatNeurons(amount))
    );
  return [trans.__('Neurons by hour (UTC)'), ...busy].join('; ');
}
