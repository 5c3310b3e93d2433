"""The session in a notebook's kernel."""

import json

from tests.standin import Fault

from ..world import Step, World

GPT = "gpt-oss-20b"
LLAMA = "llama-3.2-3b-instruct"
CODE = "So:\n\n```python\nx = 6 * 7\nprint(x)\n```\n\nDone."
MARKDOWN = (
    "# Sky\n\nBlue *scatters* most: $\\frac{1}{\\lambda^4}$.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
)
LONG = "\n\n".join(f"## Part {n}\n\n{'A sentence of a long answer. ' * 12}" for n in range(5))
ADD = {"name": "add", "arguments": {"a": 3, "b": 4}}
STALLED = {"answer": "word and more words", "tokens_per_second": 0.01}
FAR = {"delay_before_headers": 90.0}


def _simple_one_api(world: World) -> None:
    service = {
        "models": ["@cf/meta/llama-3.2-3b-instruct"],
        "enabled": True,
        "credentials": {"api_key": world.standin.account_token},
        "server_url": f"{world.standin.base_url}/accounts/{world.standin.account_id}/ai/v1",
    }
    text = json.dumps({"server_port": ":9090", "services": {"openai": [service]}})
    (world.root / "config.json").write_text(text)


SETUP = """import dataclasses, warnings
import pandas as pd
from tests.transcript.names import fields, numbers
frame = pd.DataFrame({"city": ["Rome", "Oslo"], "people": [2.8, 0.7]})
numbers_ = [1, 2, 3]
@dataclasses.dataclass
class Point:
    x: int
    label: str = "here"
point = Point(3)
picture = open("small.png", "rb").read()
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
asked_for = []
def add(a: int, b: int) -> int:
    "Add two numbers."
    asked_for.append((a, b))
    return a + b
def fail(a: int) -> int:
    "Fail."
    raise ValueError("no such thing")
"""

COMMANDS = [
    Step(SETUP),
    Step("%load_ext cfai_magics"),
    Step("%cfai help"),
    Step("%cfai"),
    Step("%cfai models gemma-4"),
    Step("%cfai models gemma-4 vision --refresh"),
    Step("%cfai models free llama-3.2"),
    Step("%cfai use llama-3.2-3b-instruct"),
    Step("%cfai use gemma-4-26b-a4b-it --keep"),
    Step("%cfai doctor lesson.ipynb", loose=True),
    Step("%cfai ask -h"),
    Step("!complete %cfai us"),
    Step("!complete %cfai use gemma-4"),
    Step("!complete %%cfai --max"),
    Step("!complete %%cfai -m llama-3.2-"),
]
ASKING = [
    Step("%%cfai\nWhy is the sky blue?", takes=1.25, server={"answer": MARKDOWN}),
    Step("fields(_cfai)"),
    Step("_cfai"),
    Step(
        f'%%cfai -m {LLAMA} -s "Don\'t shout" -t 0.5 --max-tokens 9 --top-p 0.9 --seed 7 '
        "--stop END --stop it's -p top_k=40 -p note=text --no-stream\nHi",
        takes=0.5,
    ),
    Step("fields(_cfai)"),
    Step(
        "%%cfai -o filled\n{{frame}}\n{{numbers_}} {{point}} {{point.x + 1}}\n"
        "{{frame.describe()}} {{In[1][:20]}} {not one} {{{{as is}}}}"
    ),
    Step("%%cfai --raw\n{{frame}} stays"),
    Step("%%cfai\nLook: {{picture}}"),
    Step("%%cfai -f text\nHi", server={"answer": MARKDOWN}),
    Step("%%cfai -f raw --footer off\nHi"),
    Step("%%cfai -f code\nMultiply.", server={"answer": CODE}),
    Step("%%cfai -f json -o found\nOne.", server={"answer": '```json\n{"a": [1]}\n```'}),
    Step("fields(found)"),
    Step("%%cfai -f json\nOne.", server={"answer": "Nothing of the kind."}),
    Step("%%cfai -f html\nA page.", server={"answer": "<p onclick='x()'>Hi <b>you</b></p>"}),
    Step("%%cfai -f latex\nA formula.", server={"answer": "$$\\frac{1}{2}$$"}),
    Step("%%cfai -f table -o rows\nA table.", server={"answer": MARKDOWN}),
    Step("fields(rows)"),
    Step("%%cfai -x\nOne.", server={"answer": CODE}),
    Step("%%cfai --think -o thinking\nWhy?", server={"thought": "First, <light>."}, takes=2.0),
    Step("fields(thinking)"),
    Step(
        "%%cfai --think --max-tokens 3\nWhy?", server={"thought": "Long thoughts take them all."}
    ),
    Step(f"%%cfai -m {GPT} --footer full\nHi", server={"thought": "Hm.", "dialect": "hybrid"}),
    Step("%%cfai --max-tokens 3\nHi", server={"answer": "One two three four five six."}),
    Step("%%cfai\nHi", server={"answer": ""}),
    Step("%%cfai --max-neurons 50\nHi"),
    Step("%%cfai --max-neurons 0.2\nTell a long story.", server={"answer": "word " * 400}),
    Step("%%cfai --dry-run -s 'Be brief.' --max-neurons 5\n{{frame}} Why?"),
    Step("%%cfai --sent\nHow? {{point}}"),
    Step("%cfai sent"),
    Step("%%cfai --gateway default\nHi"),
    Step("%config Cfai.gateway = 'default'\n%config Cfai.metadata = {'student': 'S1'}"),
    Step("%%cfai\nHi", server={"gateway_caches": True}),
    Step("%%cfai\nHi", server={"gateway_calls": 0}),
    Step("%%cfai --gateway off\nHi"),
    Step("%config Cfai.gateway = ''"),
    Step("%%cfai\nHi", server={"crlf": True, "comments": True, "junk_frames": True}),
    Step("%%cfai\nHi", server={"split_utf8": True, "answer": "Fünf 🐟, 日本語."}),
    Step("%%cfai\nHi", server={"json_for_stream": True}),
    Step("%%cfai\nHi", server={"omit_usage": True, "omit_neurons_header": True}),
    Step(
        "for n in range(2):\n    print('question', n)\n"
        "    get_ipython().run_cell_magic('cfai', '--footer short', f'Number {n}?')"
    ),
]
THREADS = [
    Step("%%cfai -c\nName a color.", server={"answer": "Blue."}),
    Step("%%cfai -c\nAnd another?", server={"answer": "Red."}),
    Step("%%cfai -c\nAnd another?", server={"answer": "Green."}),
    Step("%%cfai -c physics\nWhat is light?", server={"answer": "A wave."}),
    Step("%cfai thread"),
    Step("%cfai thread show"),
    Step("%cfai thread fork optics --at 1"),
    Step("%cfai thread use physics"),
    Step("%%cfai -c\nGo on.", server=STALLED, interrupt="word"),
    Step("fields(_cfai)"),
    Step("%cfai thread keep"),
    Step("%cfai thread export physics --to physics.md"),
    Step("%cfai thread export physics --to physics.json"),
    Step("%cfai thread reset optics"),
    Step("%cfai thread show nowhere"),
]
SEVERAL = [
    Step("%%cfai -n 3 -o three\nHeads or tails?", server={"answer": "heads"}, parallel=True),
    Step("fields(three); three"),
    Step(f"%%cfai -m gemma-4-26b-a4b-it -m {LLAMA} -t 0,0.7\nSay it.", parallel=True),
    Step("print(_cfai.df().to_csv())"),
    Step(f"%%cfai -m gemma-4-26b-a4b-it -m {LLAMA} -n 2 --dry-run\nSay it."),
    Step("%%cfai -n 2\nSay it.", server={"error": Fault.of(5006)}, parallel=True),
    Step("%%cfai -n 3\nWait for me.", server=FAR, interrupt="@3", parallel=True),
]
SCHEMAS = [
    Step("%%cfai --schema CITY -o capital\nWhich city?", server={"answer": '{"city": "Rome"}'}),
    Step("fields(capital)"),
    Step("%%cfai --schema city.json\nWhich city?"),
    Step(
        "import pydantic\nclass City(pydantic.BaseModel):\n    city: str\n    people: float = 0\n"
        "get_ipython().run_cell_magic('cfai', '--schema City', 'Which?')\n_cfai.parsed"
    ),
    Step(
        "%%cfai --schema CITY\nWhich city?",
        server={"answer": '{"city": "Oslo"}', "error": Fault.of(5024), "errors_before_success": 1},
    ),
    Step(
        "%%cfai --schema CITY\nWhich city?", server={"answer": ['{"town": 1}', '{"city": "Bern"}']}
    ),
    Step("%%cfai --schema CITY\nWhich city?", server={"answer": "None at all."}),
]
TOOLS = [
    Step(
        "%%cfai --tools add\nWhat is 3 + 4?",
        server={"answer": "It is 7.", "tool_calls": [ADD]},
        typed=["n"],
    ),
    Step(
        "%%cfai --tools add\nWhat is 3 + 4?",
        server={"answer": "It is 7.", "tool_calls": [ADD]},
        typed=["y"],
    ),
    Step("fields(_cfai); asked_for"),
    Step(
        "%%cfai --tools add,fail --allow-tools\nTry both.",
        server={
            "answer": "One failed.",
            "tool_calls": [
                ADD,
                {"name": "fail", "arguments": {"a": 1}},
                {"name": "none", "arguments": {}},
            ],
        },
    ),
    Step(
        "%%cfai --tools add --allow-tools --max-steps 2\nOn and on.",
        server={"tool_calls": [ADD], "tool_steps": 9},
    ),
    Step("%%cfai --tools add --dry-run\nWhat is 3 + 4?"),
    Step("%%cfai\nHi", server={"tool_calls": [ADD]}),
]
IMAGES = [
    Step("%%cfai --image small.png --image picture\nWhat is this?"),
    Step("%%cfai --image wide.png\nWhat is this?"),
    Step("from PIL import Image\nImage.open('small.png')"),
    Step("%%cfai --image last\nWhat is this?"),
    Step(f"%%cfai -m {LLAMA} --image small.png\nWhat is this?"),
    Step("%%cfai --image nowhere.png\nWhat is this?"),
]
TASKS = [
    Step("%%cfai --task image -o pic --seed 3 --save made.jpg\nA lighthouse"),
    Step("fields(pic); pic"),
    Step("%%cfai --task image --dry-run\nA lighthouse"),
    Step("%%cfai --task image -m flux-2-klein-4b --image small.png\nNow at night"),
    Step("%%cfai --task speech -p lang=fr --save made.mp3\nBonjour"),
    Step("%%cfai --task transcribe -o heard\ntalk.wav"),
    Step("%%cfai --task translate --from en --to de\nGood morning"),
    Step("%%cfai --task embed -o vectors\none\ntwo\n{{numbers_}}"),
    Step("numbers(vectors.parsed); vectors.parsed"),
    Step("%%cfai --task classify\nI like it."),
    Step("%%cfai --task classify --image small.png\nWhat is it?"),
    Step("%%cfai --task rerank\nWhich is about cats?\na cat on a mat\nincome tax"),
    Step("fields(_cfai)"),
    Step("%%cfai --task describe --image small.png --max-tokens 20\nWhat is it?"),
    Step("%%cfai --task markdown --save table.md\ntable.csv\nnote.txt"),
    Step("%%cfai --task translate --from en\nGood morning"),
    Step("%%cfai --task speech -m flux-1-schnell\nBonjour"),
    Step("%%cfai --task image -n 2\nA lighthouse"),
    Step("%%cfai --task image\nA lighthouse", server=FAR, interrupt="@1"),
    Step("import cfai_magics\ncfai_magics.similarity(['a cat', 'a dog', 'income tax'])"),
]
MAPS = [
    Step(
        "cfai_magics.map('Is {city} big?', frame, max_tokens=9)",
        server={"answer": "Yes."},
        parallel=True,
    ),
    Step("cfai_magics.map('Is {city} big?', frame, max_tokens=9)"),
    Step(
        "%config Cfai.confirm_neurons = 0.5\n"
        "cfai_magics.map('Is {city} small?', frame, max_tokens=9)",
        typed=["n"],
    ),
    Step(
        "%config Cfai.confirm_neurons = 1000\n"
        "cfai_magics.map('{text}?', ['good', 'bad'], max_tokens=9, concurrency=1)",
        server={"error": Fault.of(8007)},
    ),
    Step(
        "cfai_magics.map('{text}?', ['p', 'q'], max_tokens=9, concurrency=2)",
        server=FAR,
        interrupt="@2 0 of 2",
        parallel=True,
    ),
    Step("%cfai map"),
    Step("%cfai map clear"),
]
REPLAY = [
    Step("%cfai replay"),
    Step("%cfai replay auto lesson.rec.jsonl"),
    Step("%%cfai\nName a river.", server={"answer": "Rhine."}, takes=1.5),
    Step("%%cfai\nName a river."),
    Step("fields(_cfai)"),
    Step("%%cfai --think\nName a lake.", server={"thought": "A big one.", "answer": "Como."}),
    Step("%%cfai -n 2\nName a sea.", server={"answer": "Baltic."}, parallel=True),
    Step("%%cfai --task image\nA river", server={}),
    Step("%%cfai --task embed\nriver\nlake"),
    Step("%%cfai --no-stream -f raw\nName a hill."),
    Step("%cfai replay only lesson.rec.jsonl --instant"),
    Step("%%cfai --think\nName a lake."),
    Step("%%cfai -n 3\nName a sea.", parallel=True),
    Step("%%cfai --task image\nA river"),
    Step("%%cfai\nName a rover."),
    Step("%%cfai --dry-run\nName a river."),
    Step("%cfai replay refresh lesson.rec.jsonl"),
    Step("%%cfai\nName a river.", server={"answer": "Po."}),
    Step("%cfai verify -n 2", server={"answer": "Danube."}),
    Step("%cfai replay off"),
    Step("%%cfai\nName a river.", server={"answer": "Elbe."}),
]
FAILED = [
    Step("1 / 0"),
    Step("%cfai fix", server={"answer": f"By zero.\n\n{CODE}"}),
    Step("%cfai explain", server={"answer": "By zero."}),
    Step(f"%cfai explain 3 -m {LLAMA}", server={"answer": "It lists."}),
    Step("%cfai fix 2"),
]
BUDGETS = [
    Step("%cfai budget"),
    Step("%cfai budget 5000"),
    Step("%cfai budget 4000 --session"),
    Step("%cfai budget 3000 --notebook"),
    Step("%cfai budget"),
    Step("%cfai budget 10"),
    Step("%%cfai\nOne more?"),
    Step("%cfai budget off"),
    Step("%cfai budget off --session"),
    Step("%cfai budget off --notebook"),
    Step("%cfai usage"),
    Step("%cfai usage 7d --by model"),
    Step("%cfai usage 30d --by notebook"),
    Step("%cfai usage all --by day"),
    Step("%cfai usage all --by task"),
    Step("%cfai usage --account"),
    Step("%cfai plan lesson.ipynb --students 30"),
    Step("%cfai report", unordered=True),
    Step("%cfai report --csv", unordered=True),
    Step("%cfai report --save"),
]
STREAMING = [
    Step("%%cfai --footer short\nTell me all.", server={"answer": LONG}, flowing=True),
    Step("%%cfai --think --footer short\nWhy?", server={"thought": "Hm. " * 50}, flowing=True),
    Step(
        "%%cfai -n 2 --footer short\nTell me all.",
        server={"answer": LONG},
        parallel=True,
        flowing=True,
    ),
]
ERRORS = [
    Step("%cfai nonsense"),
    Step("%%cfai --nonsense\nHi"),
    Step("%%cfai stray words\nHi"),
    Step("%%cfai -m nosuchmodel\nHi"),
    Step("%%cfai -m gemma\nHi"),
    Step("%%cfai -p x\nHi"),
    Step("%%cfai -p model=x\nHi"),
    Step("%%cfai -o class\nHi"),
    Step("%%cfai\n \n"),
    Step("%%cfai -n 0\nHi"),
    Step("%%cfai --max-tokens 0\nHi"),
    Step("%%cfai --schema nowhere\nHi"),
    Step(f"%%cfai -m {LLAMA} --tools nowhere\nHi"),
    Step("%%cfai\n{{nowhere}}"),
    Step("%%cfai\nHi", server={"error": Fault.of(10000)}),
    Step("%%cfai\nHi", server={"error": Fault.of(5021)}),
    Step("%%cfai\nHi", server={"error": Fault.of(5006, "B")}),
    Step("%%cfai\nHi", server={"error": Fault.of(8007, "C")}),
    Step("%%cfai\nHi", server={"error": Fault.of(5035)}),
    Step("%%cfai -m llama-3.2-11b-vision-instruct\nHi", server={"error": Fault.of(5016)}),
    Step("%%cfai\nHi", server={"retired": ["@cf/google/gemma-4-26b-a4b-it"]}),
    Step("%%cfai\nHi", server={"error": Fault.of(3040), "errors_before_success": 3}),
    Step("%%cfai\nHi", server={"error": Fault.of(3021), "retry_after": "5"}),
    Step("%%cfai\nHi", server={"error": Fault(502, 0, "Bad gateway", "html")}),
    Step(
        "%%cfai\nHi", server={"drop_connection_after": 4, "answer": "one two three four five six"}
    ),
    Step("%%cfai\nHi", server={"error": Fault.of(3043), "error_in_stream_after": 3}),
    Step("%%cfai\nHi", server={"done": False, "finish_reason": "content_filter"}),
    Step("%%cfai\nHi", server={"empty_json_for_stream": True}),
    Step("%%cfai\nHi", server={"error": Fault.of(4006)}),
    Step("%%cfai\nHi"),
    Step("%cfai budget reopen"),
    Step("%%cfai\nHi", server=FAR, interrupt="@1"),
    Step("%%cfai\nHi", server=STALLED, interrupt="word"),
    Step("%cfai local nowhere.gguf"),
    Step("%cfai local off"),
    Step("%config Cfai.max_tokens = 0\n%config Cfai.max_tokens = 2048"),
]
ACCOUNT = [
    Step("%cfai login", typed=["<account>", "<token>"]),
    Step("%cfai login", typed=["<token>", "<account>", "<token>"]),
    Step("%cfai login wrong words"),
    Step("%cfai login --from <root>/config.json", before=_simple_one_api),
    Step("%cfai export simple-one-api"),
    Step("%cfai export simple-one-api"),
    Step("%cfai logout"),
    Step("%cfai status"),
]
TOGETHER = [
    Step("!hold"),
    Step("%cfai panel"),
    Step("!panel"),
    Step("%%cfai\nHi"),
    Step("!panel"),
    Step('!enter System prompt = "Short."'),
    Step('!enter Budget for today, all kernels (neurons) = "5000"'),
    Step("!enter Use the model's default temperature = false"),
    Step("!enter Temperature (0 to 5) = 9"),
    Step('!enter Search models = "llama"'),
    Step("!enter Vision = true"),
    Step("!panel"),
    Step("!click Save as my defaults"),
    Step("!click Update the list"),
    Step("!click Change…"),
    Step('!enter Account ID = "<account>"'),
    Step('!enter API token = "<token>"'),
    Step("!click Verify"),
    Step("!panel"),
    Step("!click Remove token…"),
    Step("%cfai logout"),
    Step('!enter Budget for today, all kernels (neurons) = ""'),
    Step("!panel"),
    Step('!comm {"version": 1, "type": "hello"}'),
    Step('!comm {"version": 1, "type": "today", "id": "a-1"}'),
    Step('!comm {"version": 1, "type": "models", "id": "a-2"}'),
    Step(
        '!comm {"version": 1, "type": "use", "id": "a-3", '
        '"model": "@cf/meta/llama-3.2-1b-instruct"}'
    ),
    Step(
        '!comm {"version": 1, "type": "estimate", "id": "a-4", '
        '"source": "%%cfai -n 2 --max-neurons 9\\nExplain {{1/0}} in a sentence"}'
    ),
    Step('!comm {"version": 1, "type": "use", "id": "a-5", "model": "no-such"}'),
    Step('!comm {"version": 1, "type": "nonsense", "id": "a-6"}'),
    Step('!comm {"version": 2, "type": "today", "id": "a-7"}'),
    Step("%%cfai\nHi", server={"answer": "Counted."}),
    Step("%config Cfai.model = 'gemma-4-26b-a4b-it'"),
    Step("!panel"),
    Step("%unload_ext cfai_magics"),
    Step("%load_ext cfai_magics"),
]
PARTS = {
    "commands": COMMANDS,
    "asking": ASKING,
    "threads": THREADS,
    "several answers": SEVERAL,
    "schemas": SCHEMAS,
    "functions": TOOLS,
    "images": IMAGES,
    "tasks": TASKS,
    "maps": MAPS,
    "recordings": REPLAY,
    "failed cells": FAILED,
    "budgets and usage": BUDGETS,
    "streaming": STREAMING,
    "errors": ERRORS,
    "account": ACCOUNT,
    "panel and comm": TOGETHER,
}
