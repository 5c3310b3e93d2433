import { PartialJSONObject } from '@lumino/coreutils';

/** The name and id of the comm; the kernel side is cfai_magics/frontends/lab_comm.py. */
export const TARGET = 'cfai-magics';
export const VERSION = 1;

/** Who set a limit; free are the account's free neurons. Older kernels do not send it. */
export type LimitSource = 'free' | 'user' | 'course' | 'class';

/** Today's usage in neurons; the parts from billed to elsewhere never overlap. */
export interface IDayUsage {
  readonly billed: number;
  readonly estimated: number;
  readonly running: number;
  readonly reserved: number;
  /** Neurons that only the class server counted, such as calls from another computer. */
  readonly elsewhere?: number;
  readonly limit: number;
  readonly source?: LimitSource;
  readonly closed: boolean;
  /** In seconds since 1970, like all times in messages. */
  readonly resets: number;
  /** Cloudflare's figure for the account; null if it was not requested today. */
  readonly account: {
    readonly neurons: number;
    readonly reported: number;
  } | null;
}

/** Who pays for the next request; class is a class server, which has a budget per student. */
export type BillingTarget =
  'account' | 'class' | 'local' | 'elsewhere' | 'none' | 'unknown';

export interface IState {
  readonly type: 'state';
  readonly payer: BillingTarget;
  readonly model: string;
  /** Null if calls are not counted, or the budget of the class is unknown. */
  readonly day: IDayUsage | null;
}

export interface IToday {
  readonly models: readonly {
    readonly name: string;
    readonly calls: number;
    readonly neurons: number;
  }[];
  /** Neurons in each hour, in UTC. */
  readonly hours: readonly number[];
  readonly budgets: readonly {
    readonly scope: string;
    readonly source?: LimitSource;
    readonly neurons: number;
    readonly spent: number;
  }[];
}

/** A chat model; prices are neurons per 1,000 tokens, null if unknown. */
export interface IModel {
  readonly name: string;
  readonly in: number | null;
  readonly out: number | null;
  readonly paid: boolean;
  readonly traits: readonly string[];
}

export interface IModels {
  readonly date: string;
  readonly models: readonly IModel[];
}

/** The estimated cost of a cell in neurons; null if a price is unknown. */
export interface IEstimate {
  /** The cost of answers of typical length. */
  readonly typical: number | null;
  readonly high: number | null;
  /** If true, the cell has {{…}}, whose values are not included. */
  readonly expressions: boolean;
  /** If true, the cell continues a thread, whose earlier turns are not included. */
  readonly history: boolean;
}

/** The estimate of a cell; null if the cell has none, for example with an invalid option. */
export interface IEstimateReply {
  readonly estimate: IEstimate | null;
}

/** A completion: the text that replaces the word at the cursor. */
export interface ICompletion {
  readonly text: string;
  readonly type: string;
  readonly description: string;
}

export interface ICompletions {
  /** The length of the word at the cursor, in characters (Unicode code points). */
  readonly length: number;
  readonly items: readonly ICompletion[];
}

export interface IPanel {
  /** The widget view of the panel, as display messages contain it. */
  readonly view: PartialJSONObject;
}

/** The requests to the kernel, and its replies. */
export interface IRequests {
  readonly today: { request: PartialJSONObject; response: IToday };
  readonly models: { request: PartialJSONObject; response: IModels };
  readonly use: { request: { model: string }; response: object };
  readonly estimate: { request: { source: string }; response: IEstimateReply };
  readonly complete: { request: { line: string }; response: ICompletions };
  readonly panel: { request: PartialJSONObject; response: IPanel };
}

/** A reply, with the type and the id of its request. */
export interface IReply {
  readonly type: keyof IRequests;
  readonly id: string;
}

export interface IErrorReply {
  readonly type: 'refused';
  readonly id: string;
  readonly why: string;
}

export interface IHello {
  readonly type: 'hello';
  /** The BroadcastChannel of a kernel in the browser; other kernels do not send it. */
  readonly channel?: string;
}

export interface IActive {
  readonly type: 'active';
  /** Whether the kernel waits for something that the page can stop. */
  readonly active: boolean;
}

/** Messages to a kernel in the browser, over its BroadcastChannel. */
export type ToBrowserKernel =
  | {
      readonly type: 'ready';
      readonly credentials: string | null;
      readonly keep: boolean;
    }
  | { readonly type: 'stop' };

/** The message of a kernel in the browser, over its BroadcastChannel. */
export interface ISaveCredentials {
  readonly type: 'save';
  readonly credentials: string | null;
  readonly keep: boolean;
}

export type FromKernel = IHello | IActive | IState | IReply | IErrorReply;
