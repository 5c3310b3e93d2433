import { TranslationBundle } from '@jupyterlab/translation';

import { Bridge } from '../bridge';
import { left, used } from '../day';
import { button, element } from '../dom';
import { clock, neurons, short, whole } from '../format';
import { Popover } from '../popover';
import { IDay, IToday } from '../protocol';
import { chart } from './chart';
import { inWords, reading, resetClock } from './reading';

/** What opens at the meter: where the day stands, by what, and when it begins anew. */
export class Details extends Popover {
  constructor(
    anchor: HTMLElement,
    private readonly _bridge: Bridge,
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
    _bridge.changed.connect(this._show, this);
    this._show();
  }

  private _show(): void {
    const { state } = this._bridge;
    if (state === null) {
      this.dispose();
      return;
    }
    const { day } = state;
    this._day.replaceChildren(
      ...(day ? this._ofDay(day) : [reading(state, this._trans).text])
    );
    const settled = day ? day.billed + day.estimated : 0;
    if (settled !== this._settled) {
      this._settled = settled;
      void this._ask();
    }
  }

  /** What costs the kernel a look into its ledger is asked when something was booked. */
  private async _ask(): Promise<void> {
    try {
      const today = await this._bridge.ask('today', {});
      this._today.replaceChildren(...this._ofToday(today));
    } catch (error) {
      this._today.replaceChildren((error as Error).message);
    }
    if (!this.isDisposed) {
      this.place();
    }
  }

  private _ofDay(day: IDay): HTMLElement[] {
    const trans = this._trans;
    const words = inWords(day, trans) || trans.__('enough left');
    const head = element(
      'p',
      'jp-CfaiDetails-head',
      trans.__(
        '%1 of %2 neurons used today',
        neurons(used(day)),
        whole(day.limit)
      ),
      ` · ${words}`
    );
    const list = element('dl', '');
    const parts: [string, number][] = [
      [trans.__('billed'), day.billed],
      [trans.__('estimated'), day.estimated],
      [trans.__('answer coming, so far'), day.running],
      [trans.__('reserved'), day.reserved],
      [trans.__('left'), left(day)]
    ];
    for (const [name, amount] of parts) {
      list.append(element('dt', '', name), element('dd', '', neurons(amount)));
    }
    const now = Date.now() / 1000;
    const lines = [head, list, element('p', '', resetClock(day, now, trans))];
    if (day.account) {
      const { neurons: counted, told } = day.account;
      const line = trans.__(
        'Cloudflare itself counted %1 neurons of this account today, asked at %2.',
        neurons(counted),
        clock(told)
      );
      lines.push(element('p', '', line));
    }
    return lines;
  }

  private _ofToday({ models, hours, budgets }: IToday): HTMLElement[] {
    const trans = this._trans;
    const scopes: Record<string, string> = {
      day: trans.__('Budget of the day'),
      session: trans.__('Budget of this kernel'),
      notebook: trans.__('Budget of this notebook')
    };
    const held = budgets.map(({ scope, spent, neurons: most }) =>
      element(
        'p',
        '',
        trans.__(
          '%1: %2 of %3 neurons',
          scopes[scope] ?? scope,
          neurons(spent),
          whole(most)
        )
      )
    );
    return models.length
      ? [this._table(models), chart(hours, trans), ...held]
      : [element('p', '', trans.__('Nothing was asked today.')), ...held];
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
          row('td', short(each.name), whole(each.calls), neurons(each.neurons))
        )
      )
    );
  }

  private readonly _day = element('div', '');
  private readonly _today = element('div', '');
  private _settled = -1;
}
