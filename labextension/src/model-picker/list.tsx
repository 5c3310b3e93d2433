import { TranslationBundle } from '@jupyterlab/translation';
import { UUID } from '@lumino/coreutils';

import { KernelClient } from '../kernelClient';
import { filterModels, formatPrice, shortName } from '../models';
import { IModel } from '../protocol';
import { element, Popover } from '../ui';

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
    this._options.id = UUID.uuid4();
    this._options.setAttribute('role', 'listbox');
    this._options.setAttribute('aria-label', _trans.__('Models'));
    this._note.setAttribute('role', 'status');
    this._search.setAttribute('aria-controls', this._options.id);
    this._search.setAttribute('role', 'combobox');
    this._search.setAttribute('aria-expanded', 'true');
    this._search.setAttribute('aria-label', _trans.__('Search models'));
    this._search.placeholder = _trans.__(
      'Search by name, or type free, vision, tools'
    );
    this._search.addEventListener('input', () => this._show());
    this._search.addEventListener('keydown', event => this._onKey(event));
    this._options.addEventListener('click', ({ target }) => {
      const option = (target as Element).closest('[role=option]');
      this._select([...this._options.children].indexOf(option!));
    });
    this.node.append(this._search, this._options, this._note);
  }

  /** Show the list with the current model active. */
  override open(): void {
    super.open();
    this._search.focus();
    void this._load();
  }

  private async _load(): Promise<void> {
    try {
      this._models = (await this._client.request('models', {})).models;
    } catch (error) {
      this._note.textContent = (error as Error).message;
      return;
    }
    this._show();
    this.place();
  }

  private _show(): void {
    const current = this._client.state?.model;
    this._found = filterModels(this._models, this._search.value);
    this._options.replaceChildren(
      ...this._found.map(model => this._option(model, model.name === current))
    );
    this._note.textContent = this._trans.__(
      'Showing %1 of %2 models. Prices in neurons per 1,000 tokens (input → output).',
      this._found.length,
      this._models.length
    );
    const index = this._found.findIndex(({ name }) => name === current);
    this._activate(Math.max(0, index));
  }

  private _option(model: IModel, isCurrent: boolean): HTMLElement {
    const trans = this._trans;
    const traits = model.paid
      ? [...model.traits, trans.__('paid plan only')]
      : model.traits;
    const option = element(
      'li',
      'jp-CfaiModels-option',
      element('span', 'jp-CfaiModels-name', shortName(model.name)),
      element(
        'span',
        'jp-CfaiModels-price',
        formatPrice(model) || trans.__('price unknown')
      ),
      element('span', 'jp-CfaiModels-traits', traits.join(', '))
    );
    option.id = UUID.uuid4();
    option.setAttribute('role', 'option');
    option.setAttribute('aria-selected', String(isCurrent));
    return option;
  }

  private _onKey(event: KeyboardEvent): void {
    const step = STEPS[event.key];
    if (step) {
      event.preventDefault();
      const { length } = this._found;
      this._activate((this._index + step + length) % (length || 1));
    } else if (event.key === 'Enter' && !event.isComposing) {
      event.preventDefault();
      this._select(this._index);
    }
  }

  /** Make an option active: Enter selects it. */
  private _activate(index: number): void {
    this._index = index;
    [...this._options.children].forEach((option, position) => {
      option.classList.toggle('jp-mod-active', position === index);
      if (position === index) {
        this._search.setAttribute('aria-activedescendant', option.id);
        option.scrollIntoView({ block: 'nearest' });
      }
    });
  }

  private _select(index: number): void {
    const model = this._found[index];
    if (model) {
      void this._use(model.name);
    }
  }

  private async _use(model: string): Promise<void> {
    try {
      await this._client.request('use', { model });
    } catch (error) {
      this._note.textContent = (error as Error).message;
      return;
    }
    this.dispose();
    this.anchor.focus();
  }

  private readonly _search = element('input', 'jp-CfaiModels-search');
  private readonly _options = element('ul', 'jp-CfaiModels-options');
  private readonly _note = element('p', 'jp-CfaiModels-note');
  private _models: readonly IModel[] = [];
  private _found: readonly IModel[] = [];
  private _index = 0;
}
