import { PartialJSONObject, PartialJSONValue } from '@lumino/coreutils';

import { Bridge, Refused } from '../kernelClient';
import { IQuestions, read, VERSION } from '../protocol';

interface IContract {
  version: number;
  from_kernel: Record<string, PartialJSONObject>;
  to_kernel: Record<string, PartialJSONObject>;
  ignored: PartialJSONValue[];
}

const contract = jest.requireActual<IContract>(
  '../../../tests/contract/messages.json'
);
const fromKernel = Object.entries(contract.from_kernel);

function bridge() {
  const sent: PartialJSONObject[] = [];
  const warnings: string[] = [];
  const instance = new Bridge(
    { send: data => sent.push(data) },
    contract.to_kernel.hello.locale as string,
    line => warnings.push(line)
  );
  return { instance, sent, warnings };
}

describe('read', () => {
  it('has the version of the contract', () =>
    expect(VERSION).toBe(contract.version));

  it.each(fromKernel)('accepts %s', (_, message) =>
    expect(read(message)).toEqual(message)
  );

  it.each(fromKernel.filter(([name]) => name !== 'hello'))(
    'rejects %s with a missing or invalid field',
    (_, message) => {
      const names = Object.keys(message).filter(name => name !== 'date');
      for (const name of names) {
        expect([name, read({ ...message, [name]: undefined })]).toEqual([
          name,
          null
        ]);
        expect([name, read({ ...message, [name]: { odd: [] } })]).toEqual([
          name,
          null
        ]);
      }
    }
  );

  it.each(contract.ignored)('rejects %j', message =>
    expect(read(message)).toBeNull()
  );
});

describe('Bridge', () => {
  it.each(Object.entries(contract.to_kernel))(
    'sends the request of the contract: %s',
    (name, { version, type, id, ...asks }) => {
      const { instance, sent } = bridge();
      if (name === 'hello') {
        instance.greet();
      } else {
        void instance.ask(name as keyof IQuestions, asks);
      }
      const [{ id: given, ...rest }] = sent;
      expect(rest).toEqual({ version, type, ...asks });
      expect(typeof given).toBe(typeof id);
    }
  );

  it('stores the last received state', () => {
    const { instance } = bridge();
    let changes = 0;
    instance.changed.connect(() => changes++);
    expect(instance.state).toBeNull();
    instance.receive(contract.from_kernel.state);
    expect(instance.state).toEqual(contract.from_kernel.state);
    expect(changes).toBe(1);
  });

  it('resolves each request with its own reply, also with other pages', async () => {
    const { instance, sent } = bridge();
    const first = instance.ask('today', {});
    const second = instance.ask('models', {});
    instance.receive({ ...contract.from_kernel.models, id: 'of another page' });
    instance.receive({ ...contract.from_kernel.models, id: sent[1].id });
    instance.receive({ ...contract.from_kernel.refused, id: sent[0].id });
    expect((await second).models).toHaveLength(1);
    await expect(first).rejects.toEqual(new Refused('Unknown message type.'));
  });

  it('ignores messages of other versions with one warning', () => {
    const { instance, warnings } = bridge();
    contract.ignored.forEach(message => instance.receive(message));
    expect(instance.state).toBeNull();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`version ${VERSION}`);
  });

  it('rejects pending requests on disposal', async () => {
    const { instance } = bridge();
    const request = instance.ask('today', {});
    instance.dispose();
    instance.dispose();
    await expect(request).rejects.toBeInstanceOf(Refused);
  });
});
