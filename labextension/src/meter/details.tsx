import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import {
  formatInteger,
  formatNeurons,
  formatResetTime,
  formatStatus,
  formatTime,
  formatUsed,
  levelLabel,
  remaining
} from '../dayUsage';
import { KernelClient } from '../kernelClient';
import { IDayUsage, IToday } from '../protocol';
import { Popover, shortName } from '../ui';

const [BAR, GAP, HEIGHT] = [8, 2, 48];

/** The popover of the meter: today's usage by model and by hour, budgets, and the reset time. */
export class Details extends Popover {
  constructor(
    anchor: HTMLElement,
    private readonly _client: KernelClient,
    private readonly _trans: TranslationBundle,
    private readonly _openPanel: (() => void) | null
  ) {
    super(anchor, _trans.__('Neurons today'));
    this.addClass('jp-CfaiDetails');
    _client.changed.connect(this._onState, this);
    this._onState();
  }

  protected render(): JSX.Element {
    const trans = this._trans;
    const { state } = this._client;
    const today = this._today;
    return (
      <>
        <div>
          {state?.day ? (
            <DaySummary day={state.day} trans={trans} />
          ) : (
            state && formatStatus(state, trans).text
          )}
        </div>
        <div>
          {this._error || (today && <TodayUsage today={today} trans={trans} />)}
        </div>
        {this._openPanel && (
          <button
            type="button"
            className="jp-CfaiButton"
            onClick={() => this._onOpenPanel()}
          >
            {trans.__('Open panel')}
          </button>
        )}
      </>
    );
  }

  private _onState(): void {
    const { state } = this._client;
    if (state === null) {
      this.dispose();
      return;
    }
    const settled = state.day ? state.day.billed + state.day.estimated : 0;
    if (settled !== this._settled) {
      this._settled = settled;
      void this._load();
    }
    this.update();
  }

  /** Request the usage by model and hour, which reads the ledger, only after a call was booked. */
  private async _load(): Promise<void> {
    try {
      this._today = await this._client.request('today', {});
      this._error = '';
    } catch (error) {
      this._today = null;
      this._error = (error as Error).message;
    }
    if (!this.isDisposed) {
      this.update();
    }
  }

  private _onOpenPanel(): void {
    this.dispose();
    this._openPanel?.();
  }

  private _error = '';
  private _settled = -1;
  private _today: IToday | null = null;
}

interface IDaySummaryProps {
  readonly day: IDayUsage;
  readonly trans: TranslationBundle;
}

function DaySummary({ day, trans }: IDaySummaryProps): JSX.Element {
  const label = levelLabel(day, trans);
  const elsewhere: [string, number] = [
    trans.__('other devices or programs'),
    day.elsewhere ?? 0
  ];
  const parts: [string, number][] = [
    ...(day.elsewhere ? [elsewhere] : []),
    [trans.__('billed'), day.billed],
    [trans.__('estimated'), day.estimated],
    [trans.__('in progress'), day.running],
    [trans.__('reserved'), day.reserved],
    [trans.__('left'), remaining(day)]
  ];
  return (
    <>
      <p className="jp-CfaiDetails-head">
        {formatUsed(day, trans)}
        {label && ` · ${label}`}
      </p>
      <dl>
        {parts.map(([name, amount]) => (
          <React.Fragment key={name}>
            <dt>{name}</dt>
            <dd>{formatNeurons(amount)}</dd>
          </React.Fragment>
        ))}
      </dl>
      <p>{formatResetTime(day, Date.now() / 1000, trans)}</p>
      {day.account && (
        <p>
          {trans.__(
            "Cloudflare's figure for the whole account: %1 at %2 UTC.",
            formatNeurons(day.account.neurons),
            formatTime(day.account.reported, 'UTC')
          )}
        </p>
      )}
    </>
  );
}

interface ITodayUsageProps {
  readonly today: IToday;
  readonly trans: TranslationBundle;
}

function TodayUsage({ today, trans }: ITodayUsageProps): JSX.Element {
  const scopes: Record<string, string> = {
    day: trans.__("Today's budget"),
    session: trans.__("This session's budget"),
    notebook: trans.__("This notebook's budget for today")
  };
  const bySource: Record<string, string> = {
    class: trans.__("Today's class budget")
  };
  return (
    <>
      {today.models.length > 0 ? (
        <>
          <table>
            <thead>
              <tr>
                <th>{trans.__('model')}</th>
                <th>{trans.__('calls')}</th>
                <th>{trans.__('neurons')}</th>
              </tr>
            </thead>
            <tbody>
              {today.models.map(({ name, calls, neurons }) => (
                <tr key={name}>
                  <td>{shortName(name)}</td>
                  <td>{formatInteger(calls)}</td>
                  <td>{formatNeurons(neurons)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <HourChart hours={today.hours} trans={trans} />
        </>
      ) : (
        <p>{trans.__('No calls today.')}</p>
      )}
      {today.budgets.map(({ scope, source = 'user', spent, neurons }) => (
        <p key={`${source} ${scope}`}>
          {trans.__(
            '%1: %2 of %3 neurons used or reserved.',
            bySource[source] ?? scopes[scope] ?? scope,
            formatNeurons(spent),
            formatInteger(neurons)
          )}
        </p>
      ))}
    </>
  );
}

interface IHourChartProps {
  readonly hours: readonly number[];
  readonly trans: TranslationBundle;
}

/** A bar chart of today's neurons by hour, with a text alternative. */
function HourChart({ hours, trans }: IHourChartProps): JSX.Element {
  const highest = Math.max(...hours);
  const width = hours.length * (BAR + GAP) - GAP;
  const texts = hours.flatMap((amount, hour) =>
    amount > 0 ? [trans.__('%1:00: %2', hour, formatNeurons(amount))] : []
  );
  return (
    <figure className="jp-CfaiDetails-chart">
      <figcaption>
        {trans.__('By hour (UTC), highest: %1', formatNeurons(highest))}
      </figcaption>
      <svg
        viewBox={`0 0 ${width} ${HEIGHT}`}
        role="img"
        aria-label={[trans.__('Neurons by hour (UTC)'), ...texts].join('; ')}
      >
        {hours.map((amount, hour) => {
          const height = highest > 0 ? (amount / highest) * HEIGHT : 0;
          const shown = Math.max(height, 1);
          return (
            <rect
              key={hour}
              className={amount > 0 ? 'jp-mod-filled' : ''}
              x={hour * (BAR + GAP)}
              y={HEIGHT - shown}
              width={BAR}
              height={shown}
            />
          );
        })}
      </svg>
      <div className="jp-CfaiDetails-axis" aria-hidden="true">
        {['00', '06', '12', '18', '24'].map(hour => (
          <span key={hour}>{hour}</span>
        ))}
      </div>
    </figure>
  );
}
