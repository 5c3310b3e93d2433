import { PartialJSONObject, PartialJSONValue } from '@lumino/coreutils';

import { Bridge, Refused } from '../bridge';
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
  const made = new Bridge({ send: data => sent.push(data) }, line =>
    warnings.push(line)
  );
  return { made, sent, warnings };
}

describe('read', () => {
  it('speaks the version of the contract', () =>
    expect(VERSION).toBe(contract.version));

  it.each(fromKernel)('takes in %s', (_, message) =>
    expect(read(message)).toEqual(message)
  );

  it.each(fromKernel.filter(([name]) => name !== 'hello'))(
    'refuses %s where something is missing or another thing',
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

  it.each(contract.ignored)('refuses %j', message =>
    expect(read(message)).toBeNull()
  );
});

describe('Bridge', () => {
  it.each(Object.entries(contract.to_kernel))(
    'asks as the contract has it: %s',
    (name, { version, type, id, ...asks }) => {
      const { made, sent } = bridge();
      if (name === 'hello') {
        made.greet();
      } else {
        void made.ask(name as keyof IQuestions, asks);
      }
      const [{ id: given, ...rest }] = sent;
      expect(rest).toEqual({ version, type, ...asks });
      expect(typeof given).toBe(typeof id);
    }
  );

  it('keeps the state it was told last', () => {
    const { made } = bridge();
    let told = 0;
    made.changed.connect(() => told++);
    expect(made.state).toBeNull();
    made.receive(contract.from_kernel.state);
    expect(made.state).toEqual(contract.from_kernel.state);
    expect(told).toBe(1);
  });

  it('gives each question its own answer, whoever else asks', async () => {
    const { made, sent } = bridge();
    const first = made.ask('today', {});
    const second = made.ask('models', {});
    made.receive({ ...contract.from_kernel.models, id: 'of another page' });
    made.receive({ ...contract.from_kernel.models, id: sent[1].id });
    made.receive({ ...contract.from_kernel.refused, id: sent[0].id });
    expect((await second).models).toHaveLength(1);
    await expect(first).rejects.toEqual(
      new Refused('Unknown message type.')
    );
  });

  it('ignores all other versions with one line', () => {
    const { made, warnings } = bridge();
    contract.ignored.forEach(message => made.receive(message));
    expect(made.state).toBeNull();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`version ${VERSION}`);
  });

  it('leaves nobody waiting for a kernel that is gone', async () => {
    const { made } = bridge();
    const asked = made.ask('today', {});
    made.dispose();
    made.dispose();
    await expect(asked).rejects.toBeInstanceOf(Refused);
  });
});
