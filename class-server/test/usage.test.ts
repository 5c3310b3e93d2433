/** The usage of an answer is read from its last 4 KiB, in all recorded formats. */

import { expect, it } from 'vitest';

import {
  estimateStreamTokens,
  parseBodyUsage,
  parseStreamUsage,
  type Ending
} from '../src/usage';

interface Reading {
  usage?: [number, number, number, number, string];
}

const TAIL = 4096;
const streams: Record<string, string> = import.meta.glob(
  '../../tests/corpus/*.sse',
  {
    query: '?raw',
    import: 'default',
    eager: true
  }
);
const bodies: Record<string, string> = import.meta.glob(
  '../../tests/corpus/*.body',
  {
    query: '?raw',
    import: 'default',
    eager: true
  }
);
const readings: Record<string, Reading> = import.meta.glob(
  '../../tests/corpus/*.json',
  {
    import: 'default',
    eager: true
  }
);

function ending(text: string): Ending {
  const bytes = new TextEncoder().encode(text);
  return { tail: bytes.slice(-TAIL), bytes: bytes.length };
}

function billed(
  files: Record<string, string>
): [string, string, Reading['usage']][] {
  return Object.entries(files)
    .map(([path, text]) => {
      const usage = readings[path.replace(/\.\w+$/, '.json')]?.usage;
      return [path.split('/').pop() ?? '', text, usage] as [
        string,
        string,
        Reading['usage']
      ];
    })
    .filter(([, , usage]) => usage?.[4] === 'billed');
}

it.each(billed(streams))(
  'the neurons of the recorded stream %s are found',
  (_name, text, usage) => {
    expect(parseStreamUsage(ending(text))?.neurons).toBe(usage?.[3]);
  }
);

it.each(billed(bodies))(
  'the neurons of the recorded answer %s are found',
  (_name, text, usage) => {
    expect(parseBodyUsage(ending(text))?.neurons).toBe(usage?.[3]);
  }
);

it('the corpus has recorded streams with neurons', () => {
  expect(billed(streams).length).toBeGreaterThanOrEqual(4);
});

const text = (content: string, usage?: object) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }], ...(usage && { usage }) })}\n\n`;
const tokens = (prompt: number, completion: number, neurons?: number) => ({
  prompt_tokens: prompt,
  completion_tokens: completion,
  neurons
});
const words = text('word', tokens(0, 1, 0.5)).repeat(200);
const native = (usage: object) =>
  `data: ${JSON.stringify({ response: '', usage })}\n\n`;
const DONE = 'data: [DONE]\n\n';

it.each([
  [
    'a last event of the whole call',
    words + native(tokens(9, 200, 104.5)) + DONE,
    104.5
  ],
  [
    'a copy of the usage without neurons',
    words + text('', tokens(9, 200, 3)) + text('', tokens(9, 200)),
    3
  ],
  [
    'a total and the stop token after it',
    words + text('', tokens(9, 200, 3)) + text('', tokens(0, 1, 0.5)),
    3.5
  ],
  [
    'usage so far in each frame',
    text('a', tokens(9, 1, 1)).repeat(99) + text('a', tokens(9, 2, 2)),
    2
  ],
  [
    'increments from the first frame',
    text('', tokens(9, 0, 1)) + text('a', tokens(0, 1, 0.5)).repeat(2),
    2
  ],
  [
    'white space in the JSON',
    words +
      'data: { "response": "", "usage": { "prompt_tokens": 9, "neurons": 7.5 } }\r\n\r\n',
    7.5
  ],
  [
    'a frame without a space',
    words + native(tokens(9, 1, 2)).replace('data: ', 'data:'),
    2
  ],
  ['no final line break', words + native(tokens(9, 1, 2)).trimEnd(), 2]
])('a stream that ends with %s has its neurons', (_name, stream, neurons) => {
  expect(parseStreamUsage(ending(stream))?.neurons).toBe(neurons);
});

it.each([
  ['increments only', words + DONE],
  ['no usage', text('word').repeat(200) + DONE],
  ['a damaged last frame', words + native(tokens(9, 1, 2)).slice(0, -20)],
  ['nothing', '']
])('a stream that ends with %s has no total', (_name, stream) => {
  expect(parseStreamUsage(ending(stream))).toBeNull();
});

it.each([-1, 1e12, '5', null, true, {}, [5]])(
  '%j is not a number of neurons',
  value => {
    const stream = `data: {"response":"","usage":{"prompt_tokens":1,"neurons":${JSON.stringify(value)}}}`;
    expect(parseStreamUsage(ending(stream))?.neurons).toBeNull();
  }
);

it('the tokens of a part of a stream follow from the size of its frames', () => {
  expect(estimateStreamTokens(ending(words))).toBeGreaterThanOrEqual(180);
  expect(estimateStreamTokens(ending(words))).toBeLessThanOrEqual(220);
  expect(estimateStreamTokens(ending(''))).toBe(0);
});

const long = 'x"{}\\'.repeat(2000);
const completion = (usage: object, content = long) => ({
  choices: [{ message: { content } }],
  usage
});

it.each([
  ['of OpenAI', completion(tokens(9, 2, 5))],
  [
    'in an envelope',
    {
      result: completion(tokens(9, 2, 5)),
      success: true,
      errors: [],
      messages: []
    }
  ],
  [
    'with values after the usage',
    {
      ...completion(tokens(9, 2, 5)),
      prompt_logprobs: null,
      system_fingerprint: 'fp'
    }
  ],
  [
    'with details',
    completion({
      ...tokens(9, 2, 5),
      prompt_tokens_details: { cached_tokens: 3 }
    })
  ],
  ['that is short', completion(tokens(9, 2, 5), 'Hi')],
  [
    'that is short, in an envelope',
    { result: completion(tokens(9, 2, 5), 'Hi'), success: true }
  ]
])('an answer %s has its neurons', (_name, body) => {
  expect(parseBodyUsage(ending(JSON.stringify(body)))?.neurons).toBe(5);
});

it('text that looks like usage is not used', () => {
  const forged = JSON.stringify({ usage: tokens(1, 1, 0.001) });
  const body = { choices: [{ message: { content: long + forged } }] };
  expect(parseBodyUsage(ending(JSON.stringify(body)))).toBeNull();
});

it('arguments of a tool call that look like usage are not used', () => {
  const calls = [{ name: 'f', arguments: { usage: tokens(1, 1, 0.001) } }];
  const result = { response: long, usage: tokens(9, 2, 5), tool_calls: calls };
  expect(
    parseBodyUsage(ending(JSON.stringify({ result, success: true })))
  ).toBeNull();
});

it('an answer with an error costs nothing', () => {
  const body = {
    success: false,
    errors: [{ code: 3043, message: 'failed' }],
    result: {}
  };
  expect(parseBodyUsage(ending(JSON.stringify(body)))?.neurons).toBe(0);
});
