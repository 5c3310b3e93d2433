import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatNeurons } from '../dayUsage';
import { KernelClient } from '../kernelClient';
import { IModel } from '../protocol';
import { Popover, shortName } from '../ui';

const STEPS: Readonly<Record<string, number>> = { ArrowDown: 1, ArrowUp: -1 };

/** The model list of the picker: type to search, press Enter or click to select. */
export class ModelList extends Popover {
  constructor(
    anchor: HTMLElement,
    private readonly _client: KernelClient,
    private readonly _trans: TranslationBundle
  ) {
    super(anchor, _trans.__('Choose the default model of this kernel'));
    this.addClass('jp-CfaiModels');
  }

  protected render(): JSX.Element {
    return (
      <ModelSearch
        client={this._client}
        trans={this._trans}
        onSelected={() => this._onSelected()}
      />
    );
  }

  private _onSelected(): void {
    this.dispose();
    this.anchor.focus();
  }
}

interface IModelSearchProps {
  readonly client: KernelClient;
  readonly trans: TranslationBundle;
  readonly onSelected: () => void;
}

/** A combobox with its listbox. The focus stays in the combobox; Enter selects the active option. */
function ModelSearch(props: IModelSearchProps): JSX.Element {
  const { client, trans, onSelected } = props;
  const [models, setModels] = React.useState<readonly IModel[] | null>(null);
  const [query, setQuery] = React.useState('');
  // The option that the arrow keys chose; null for the current model.
  const [chosenIndex, setChosenIndex] = React.useState<number | null>(null);
  const [error, setError] = React.useState('');
  const activeOption = React.useRef<HTMLLIElement>(null);
  const id = React.useId();
  const current = client.state?.model;
  const results = filterModels(models ?? [], query);
  const currentIndex = results.findIndex(({ name }) => name === current);
  const activeIndex = chosenIndex ?? Math.max(0, currentIndex);

  const load = async (): Promise<void> => {
    try {
      setModels((await client.request('models', {})).models);
    } catch (reason) {
      setError((reason as Error).message);
    }
  };
  const search = (text: string): void => {
    setQuery(text);
    setChosenIndex(null);
    setError('');
  };
  const select = async (model: IModel | undefined): Promise<void> => {
    if (model) {
      try {
        await client.request('use', { model: model.name });
        onSelected();
      } catch (reason) {
        setError((reason as Error).message);
      }
    }
  };
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const step = STEPS[event.key];
    if (step) {
      event.preventDefault();
      const { length } = results;
      setChosenIndex((activeIndex + step + length) % (length || 1));
    } else if (event.key === 'Enter' && !event.nativeEvent.isComposing) {
      event.preventDefault();
      void select(results[activeIndex]);
    }
  };
  React.useEffect(() => void load(), []);
  React.useEffect(
    // In newer browsers, scrollIntoView returns a promise, which is not a cleanup function.
    () => void activeOption.current?.scrollIntoView({ block: 'nearest' }),
    [models, query, activeIndex]
  );

  return (
    <>
      <input
        className="jp-CfaiModels-search"
        role="combobox"
        aria-controls={id}
        aria-expanded="true"
        aria-activedescendant={
          results.length ? `${id}-${activeIndex}` : undefined
        }
        aria-label={trans.__('Search models')}
        placeholder={trans.__('Search by name, or type free, vision, tools')}
        autoFocus
        value={query}
        onChange={event => search(event.target.value)}
        onKeyDown={onKeyDown}
      />
      <ul
        className="jp-CfaiModels-options"
        id={id}
        role="listbox"
        aria-label={trans.__('Models')}
      >
        {results.map((model, index) => (
          <li
            key={model.name}
            ref={index === activeIndex ? activeOption : null}
            className={
              index === activeIndex
                ? 'jp-CfaiModels-option jp-mod-active'
                : 'jp-CfaiModels-option'
            }
            id={`${id}-${index}`}
            role="option"
            aria-selected={model.name === current}
            onClick={() => void select(model)}
          >
            <span className="jp-CfaiModels-name">{shortName(model.name)}</span>
            <span className="jp-CfaiModels-price">
              {formatPrice(model) || trans.__('price unknown')}
            </span>
            <span className="jp-CfaiModels-traits">
              {[
                ...model.traits,
                ...(model.paid ? [trans.__('paid plan only')] : [])
              ].join(', ')}
            </span>
          </li>
        ))}
      </ul>
      <p className="jp-CfaiModels-note" role="status">
        {error ||
          (models &&
            trans.__(
              'Showing %1 of %2 models. Prices in neurons per 1,000 tokens (input → output).',
              results.length,
              models.length
            ))}
      </p>
    </>
  );
}

/** Return the models whose name, capabilities or plan ("free", "paid") contain all words. */
export function filterModels(
  models: readonly IModel[],
  typed: string
): IModel[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  return models.filter(model => {
    const plan = model.paid ? 'paid' : 'free';
    const text = [model.name.toLowerCase(), plan, ...model.traits].join(' ');
    return words.every(word => text.includes(word));
  });
}

/** Format the input and output price per 1,000 tokens; "" if the price is unknown. */
export function formatPrice(model: IModel): string {
  return [model.in, model.out]
    .filter(rate => rate !== null)
    .map(formatNeurons)
    .join(' → ');
}
