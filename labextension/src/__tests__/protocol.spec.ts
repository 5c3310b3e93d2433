import { PartialJSONObject, PartialJSONValue } from '@lumino/coreutils';

import { KernelClient, KernelRequestError } from '../kernelClient';
import { parseMessage } from '../parseMessage';
import { IRequests, VERSION } from '../protocol';

interface IContract {
  version: number;
  from_kernel: Record<string, PartialJSONObject>;
  from_kernel_in_a_browser: Record<string, PartialJSONObject>;
  state_of_a_student: PartialJSONObject;
  to_kernel: Record<string, PartialJSONObject>;
  ignored: PartialJSONValue[];
}

const contract = jest.requireActual<IContract>(
  '../../../tests/contract/messages.json'
);
const NULLABLE = ['day', 'estimate'];
const fromKernel = Object.entries(contract.from_kernel);

function client() {
  const sent: PartialJSONObject[] = [];
  const warnings: string[] = [];
  const instance = new KernelClient(
    { send: data => sent.push(data) },
    contract.to_kernel.hello.locale as string,
    line => warnings.push(line)
  );
  return { instance, sent, warnings };
}

describe('parseMessage', () => {
  it('has the version of the contract', () =>
    expect(VERSION).toBe(contract.version));

  it.each(fromKernel)('accepts %s', (_, message) =>
    expect(parseMessage(message)).toEqual(message)
  );

  it.each(fromKernel.filter(([name]) => name !== 'hello'))(
    'rejects %s with a missing or invalid field',
    (_, message) => {
      const names = Object.keys(message).filter(name => name !== 'date');
      for (const name of names) {
        if (!NULLABLE.includes(name)) {
          expect([
            name,
            parseMessage({ ...message, [name]: undefined })
          ]).toEqual([name, null]);
        }
        expect([
          name,
          parseMessage({ ...message, [name]: { odd: [] } })
        ]).toEqual([name, null]);
      }
    }
  );

  it.each(Object.entries(contract.from_kernel_in_a_browser))(
    'accepts %s of a kernel in a browser, and rejects it with an invalid field',
    (_, message) => {
      expect(parseMessage(message)).toEqual(message);
      const [field] = Object.keys(message).slice(2);
      expect(parseMessage({ ...message, [field]: { odd: [] } })).toBeNull();
    }
  );

  it('accepts a cell without an estimate and an unknown price', () => {
    const { estimate: message } = contract.from_kernel;
    const none = { ...message, estimate: null };
    expect(parseMessage(none)).toEqual(none);
    const estimate = { ...(message.estimate as PartialJSONObject), high: null };
    expect(parseMessage({ ...message, estimate })).not.toBeNull();
  });

  it('accepts the state of a student of a class, also with an unknown budget', () => {
    const { state_of_a_student: message } = contract;
    expect(parseMessage(message)).toEqual(message);
    expect(parseMessage({ ...message, day: null })).not.toBeNull();
  });

  it('reads missing fields as null, because Pyodide leaves out null', () => {
    const { state, models, estimate } = contract.from_kernel;
    const without = (message: PartialJSONObject) =>
      JSON.parse(
        JSON.stringify(message, (_, value: unknown) =>
          value === null ? undefined : value
        )
      ) as PartialJSONObject;
    const day = { ...(state.day as PartialJSONObject), account: null };
    const [model] = models.models as PartialJSONObject[];
    const cost = {
      ...(estimate.estimate as PartialJSONObject),
      typical: null,
      high: null
    };
    for (const message of [
      { ...state, day: null },
      { ...state, day },
      { ...models, models: [{ ...model, in: null, out: null }] },
      { ...estimate, estimate: null },
      { ...estimate, estimate: cost }
    ]) {
      expect(parseMessage(without(message))).toEqual(message);
    }
  });

  it('accepts the messages of an older kernel, without the source of limits', () => {
    const { state: message, today } = contract.from_kernel;
    const day = { ...(message.day as PartialJSONObject) };
    delete day.source;
    delete day.elsewhere;
    expect(parseMessage({ ...message, day })).not.toBeNull();
    const [budget] = today.budgets as PartialJSONObject[];
    const budgets = [{ ...budget, source: undefined }];
    expect(parseMessage({ ...today, budgets })).not.toBeNull();
  });

  it.each(['expressions', 'history'])(
    'rejects an estimate without %s',
    name => {
      const { estimate: message } = contract.from_kernel;
      const estimate = { ...(message.estimate as PartialJSONObject) };
      delete estimate[name];
      expect(parseMessage({ ...message, estimate })).toBeNull();
    }
  );

  it.each(['text', 'type', 'description'])(
    'rejects a completion without %s',
    name => {
      const { complete: message } = contract.from_kernel;
      const [item] = message.items as PartialJSONObject[];
      const items = [item, { ...item, [name]: undefined }];
      expect(parseMessage({ ...message, items })).toBeNull();
    }
  );

  it.each(contract.ignored)('rejects %j', message =>
    expect(parseMessage(message)).toBeNull()
  );
});

describe('KernelClient', () => {
  it.each(Object.entries(contract.to_kernel))(
    'sends the request of the contract: %s',
    (name, { version, type, id, ...asks }) => {
      const { instance, sent } = client();
      if (name === 'hello') {
        instance.sendHello();
      } else {
        void instance.request(name as keyof IRequests, asks);
      }
      const [{ id: given, ...rest }] = sent;
      expect(rest).toEqual({ version, type, ...asks });
      expect(typeof given).toBe(typeof id);
    }
  );

  it('stores the last received state', () => {
    const { instance } = client();
    let changes = 0;
    instance.changed.connect(() => changes++);
    expect(instance.state).toBeNull();
    instance.receive(contract.from_kernel.state);
    expect(instance.state).toEqual(contract.from_kernel.state);
    expect(changes).toBe(1);
  });

  it('resolves each request with its own reply, also with other pages', async () => {
    const { instance, sent } = client();
    const first = instance.request('today', {});
    const second = instance.request('models', {});
    instance.receive({ ...contract.from_kernel.models, id: 'of another page' });
    instance.receive({ ...contract.from_kernel.models, id: sent[1].id });
    instance.receive({ ...contract.from_kernel.refused, id: sent[0].id });
    expect((await second).models).toHaveLength(1);
    await expect(first).rejects.toEqual(
      new KernelRequestError('Unknown message type.')
    );
  });

  it('ignores messages of other versions with one warning', () => {
    const { instance, warnings } = client();
    contract.ignored.forEach(message => instance.receive(message));
    expect(instance.state).toBeNull();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`version ${VERSION}`);
  });

  it('rejects pending requests on disposal', async () => {
    const { instance } = client();
    const request = instance.request('today', {});
    instance.dispose();
    instance.dispose();
    await expect(request).rejects.toBeInstanceOf(KernelRequestError);
  });
});
