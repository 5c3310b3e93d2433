import { TranslationBundle } from '@jupyterlab/translation';

import {
  formatInteger,
  formatNeurons,
  formatResetTime,
  formatStatus,
  formatTime,
  levelLabel,
  remaining,
  usedNeurons
} from '../dayUsage';
import { KernelClient } from '../kernelClient';
import { shortName } from '../models';
import { IDayUsage, IToday } from '../protocol';
import { button, element, Popover } from '../ui';
import { chart } from './chart';

/** The popover of the meter: today's usage by model and by hour, budgets, and the reset time. */
export class Details extends Popover {
  constructor(
    anchor: HTMLElement,
    private readonly _client: KernelClient,
    private readonly _trans: TranslationBundle,
    openPanel: (() => void) | null
  ) {
    super(anchor, _trans.__('Neurons today'));
    this.addClass('jp-CfaiDetails');
    this.node.append(this._day, this._today);
    if (openPanel) {
      const open = (): void => {
        this.dispose();
        openPanel();
      };
      this.node.append(
        button('jp-CfaiButton', _trans.__('Open the panel'), open)
      );
    }
    _client.changed.connect(this._show, this);
    this._show();
  }

  private _show(): void {
    const { state } = this._client;
    if (state === null) {
      this.dispose();
      return;
    }
    const { day } = state;
    this._day.replaceChildren(
      ...(day ? this._ofDay(day) : [formatStatus(state, this._trans).text])
    );
    const settled = day ? day.billed + day.estimated : 0;
    if (settled !== this._settled) {
      this._settled = settled;
      void this._ask();
    }
  }

  /** Request the usage by model and hour, which reads the ledger, only after a call was booked. */
  private async _ask(): Promise<void> {
    try {
      const today = await this._client.request('today', {});
      this._today.replaceChildren(...this._ofToday(today));
    } catch (error) {
      this._today.replaceChildren((error as Error).message);
    }
    if (!this.isDisposed) {
      this.place();
    }
  }

  private _ofDay(day: IDayUsage): HTMLElement[] {
    const trans = this._trans;
    const words = levelLabel(day, trans);
    const head = element(
      'p',
      'jp-CfaiDetails-head',
      trans.__(
        '%1 of %2 neurons used today',
        formatNeurons(usedNeurons(day)),
        formatInteger(day.limit)
      ),
      words ? ` · ${words}` : ''
    );
    const list = element('dl', '');
    const parts: [string, number][] = [
      [trans.__('billed'), day.billed],
      [trans.__('estimated'), day.estimated],
      [trans.__('in progress'), day.running],
      [trans.__('reserved'), day.reserved],
      [trans.__('left'), remaining(day)]
    ];
    for (const [name, amount] of parts) {
      list.append(
        element('dt', '', name),
        element('dd', '', formatNeurons(amount))
      );
    }
    const now = Date.now() / 1000;
    const lines = [
      head,
      list,
      element('p', '', formatResetTime(day, now, trans))
    ];
    if (day.account) {
      const { neurons: figure, reported: reportedAt } = day.account;
      const line = trans.__(
        "Cloudflare's figure for the whole account: %1 at %2 UTC.",
        formatNeurons(figure),
        formatTime(reportedAt, 'UTC')
      );
      lines.push(element('p', '', line));
    }
    return lines;
  }

  private _ofToday({ models, hours, budgets }: IToday): HTMLElement[] {
    const trans = this._trans;
    const scopes: Record<string, string> = {
      day: trans.__("Today's budget"),
      session: trans.__("This session's budget"),
      notebook: trans.__("This notebook's budget for today")
    };
    const limits = budgets.map(({ scope, spent, neurons: limit }) =>
      element(
        'p',
        '',
        trans.__(
          '%1: %2 of %3 neurons used or reserved.',
          scopes[scope] ?? scope,
          formatNeurons(spent),
          formatInteger(limit)
        )
      )
    );
    return models.length
      ? [this._table(models), chart(hours, trans), ...limits]
      : [element('p', '', trans.__('No calls today.')), ...limits];
  }

  private _table(models: IToday['models']): HTMLElement {
    const trans = this._trans;
    const row = (tag: 'th' | 'td', ...cells: string[]): HTMLElement =>
      element('tr', '', ...cells.map(cell => element(tag, '', cell)));
    const head = [trans.__('model'), trans.__('calls'), trans.__('neurons')];
    return element(
      'table',
      '',
      element('thead', '', row('th', ...head)),
      element(
        'tbody',
        '',
        ...models.map(each =>
          row(
            'td',
            shortName(each.name),
            formatInteger(each.calls),
            formatNeurons(each.neurons)
          )
        )
      )
    );
  }

  private readonly _day = element('div', '');
  private readonly _today = element('div', '');
  private _settled = -1;
}
