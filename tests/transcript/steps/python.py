"""The session of a Python program."""

from tests.standin import Fault

from ..world import Step

FIELDS = "from tests.transcript.names import fields, numbers"
BATCHES = "@cf/meta/llama-3.3-70b-instruct-fp8-fast"

PARTS = {
    "all": [
        Step(FIELDS),
        Step("sorted(cfai.__all__)"),
        Step("answer = cfai.ask('Why is the sky blue?')\nfields(answer)", takes=1.25),
        Step("answer"),
        Step("str(answer)"),
        Step(
            "fields(cfai.ask('Hi', model='llama-3.2-3b-instruct', system='Be brief.', "
            "max_tokens=9, "
            "temperature=0.5, top_p=0.9, seed=7, stop=('END',), think=True, extra={'top_k': 40}))"
        ),
        Step("fields(cfai.ask('Hi', think=True))", server={"thought": "First, light."}),
        Step("fields(cfai.ask('Hi', stream=False))"),
        Step(
            "with cfai.stream('Count.') as pieces:\n    print(''.join(pieces))\n"
            "fields(pieces.answer)",
            server={"answer": "One two three."},
        ),
        Step(
            "with cfai.stream('Count.') as pieces:\n    print(next(iter(pieces)))\n"
            "fields(pieces.answer)",
            server={"answer": "word and more words", "tokens_per_second": 0.01},
        ),
        Step("found = cfai.embed(['a cat', 'a dog'])\nnumbers(found)"),
        Step("numbers(cfai.embed(map(str, range(101))))"),
        Step("cfai.similarity(['a cat', 'a dog', 'income tax'])"),
        Step(
            "cfai.map('Is it {text}?', ['a', 'b', 'a', ''], max_tokens=9)",
            parallel=True,
            server={"answer": "Yes."},
        ),
        Step("cfai.map('Is it {text}?', ['a', 'b', 'a'], max_tokens=9)"),
        Step(
            "cfai.map('Is it {text}?', ['a', 'c'], max_tokens=9, fresh=True)",
            parallel=True,
            server={"answer": "No."},
        ),
        Step(
            "import pandas as pd\nframe = pd.DataFrame({'city': ['Rome', None]}, [7, 8])\n"
            "cfai.map('{city}?', frame, max_tokens=9, system='Be brief.')"
        ),
        Step(
            "cfai.map('City {text}', ['1', '2'], schema={'type': 'object', 'properties': "
            "{'name': {'type': 'string'}}}, concurrency=1)",
            server={"answer": ['{"name": "Bonn"}', "no JSON"]},
        ),
        Step(f"cfai.map('{{text}}?', ['a', 'b'], model='{BATCHES}', max_tokens=9, queue=True)"),
        Step("cfai.map('{txt}', ['a'])"),
        Step("cfai.map('{text}', 'a')"),
        Step("cfai.map('{text}?', ['x', 'y'], max_tokens=9, max_neurons=0.001)"),
        Step(
            "given = {'text': 'Hi', 'source_lang': 'en', 'target_lang': 'de'}\n"
            "cfai.run('@cf/meta/m2m100-1.2b', given).result"
        ),
        Step("cfai.run('@cf/openai/whisper', open('talk.wav', 'rb').read()).result['text']"),
        Step("print(cfai.panel()); cfai.panel().close()"),
        Step("cfai.ask('Hi', model='no-such')"),
        Step("cfai.ask('Hi', max_tokens=0)"),
        Step("cfai.ask('Hi')", server={"error": Fault.of(3040), "errors_before_success": 2}),
        Step("cfai.ask('Hi')", server={"error": Fault.of(3021), "retry_after": "5"}),
        Step("cfai.ask('Hi')", server={"error": Fault.of(10000)}),
        Step(
            "try:\n    cfai.ask('Hi')\nexcept cfai.CfaiError as error:\n    fields(error.answer)",
            server={"drop_connection_after": 3, "answer": "one two three four"},
        ),
        Step("cfai.ask('Hi')", server={"delay_before_headers": 90.0}, interrupt="@1"),
        Step(
            "import os\nos.environ['CFAI_REPLAY'] = 'auto:lesson.rec.jsonl'\n"
            "fields(cfai.ask('Name a river.'))",
            server={"answer": "Rhine."},
        ),
        Step("fields(cfai.ask('Name a river.'))"),
        Step("os.environ['CFAI_REPLAY'] = 'only:lesson.rec.jsonl'\ncfai.ask('Name a lake.')"),
    ]
}
