"""The session in a shell."""

import json

from tests.standin import Fault

from ..world import Step, World

NO_ACCOUNT = {"CLOUDFLARE_ACCOUNT_ID": "<unset>", "CLOUDFLARE_API_TOKEN": "<unset>"}
SERVER = "<base-url>/accounts/<account>/ai/v1"


def _course(world: World) -> None:
    (world.work / "cfai.toml").write_text(
        'model = "gemma-4-26b-a4b-it"\nallowed_models = ["gemma-4-26b-a4b-it"]\n'
        'max_tokens = 100\nlocked = ["max_tokens"]\n[budget]\nday = 500\n'
    )


def _no_course(world: World) -> None:
    (world.work / "cfai.toml").unlink()


def _config(world: World) -> None:
    service = {
        "models": ["@cf/meta/llama-3.2-3b-instruct"],
        "enabled": True,
        "credentials": {"api_key": world.standin.account_token},
        "server_url": f"{world.standin.base_url}/accounts/{world.standin.account_id}/ai/v1",
    }
    (world.root / "config.json").write_text(json.dumps({"services": {"openai": [service]}}))


def _left_open(world: World) -> None:
    path = world.home / "credentials.json"
    if path.exists():
        path.chmod(0o644)


PARTS = {
    "all": [
        Step(""),
        Step("--version"),
        Step("--help"),
        Step("nonsense"),
        Step("ask"),
        Step("ask -h"),
        Step("status", environ=NO_ACCOUNT),
        Step("ask Hi", environ=NO_ACCOUNT),
        Step("login", environ=NO_ACCOUNT, typed=["<account>", "<token>"]),
        Step("status", environ=NO_ACCOUNT, before=_left_open),
        Step(
            "ask why blue? --max-tokens 50", takes=1.5, server={"answer": "Blue *scatters* most."}
        ),
        Step("ask Hi -f raw --footer off"),
        Step("ask Hi -f json --footer short", server={"answer": '{"a": 1}'}),
        Step("ask Hi --think -s 'Be brief.' -t 0.5 --sent", server={"thought": "Hm."}),
        Step("ask one -c"),
        Step("ask two -c"),
        Step("thread show main"),
        Step("thread use main"),
        Step("ask Hi -n 2", parallel=True),
        Step("ask Hi --dry-run"),
        Step("ask Hi --schema city.json"),
        Step("ask 'What is it?' --image small.png"),
        Step("ask 'A lighthouse' --task image --save made.jpg"),
        Step("ask Bonjour --task speech"),
        Step("ask talk.wav --task transcribe"),
        Step("ask Hi --tools add"),
        Step("use llama-3.2-3b-instruct"),
        Step("ask Hi"),
        Step("models llama-3.2"),
        Step("models gemma-4 --refresh"),
        Step("usage all --by model"),
        Step("usage --csv"),
        Step("budget 5000"),
        Step("budget"),
        Step("plan lesson.ipynb --students 30"),
        Step("report lesson.ipynb"),
        Step("doctor lesson.ipynb", loose=True),
        Step("map"),
        Step("panel"),
        Step("fix"),
        Step("sent"),
        Step(
            "ask 'Name a river.'",
            server={"answer": "Rhine."},
            environ={"CFAI_REPLAY": "auto:lesson.rec.jsonl"},
        ),
        Step(
            "ask 'Name a river.'",
            environ={"CFAI_REPLAY": "only:lesson.rec.jsonl", "CFAI_REPLAY_INSTANT": "1"},
        ),
        Step("ask 'Name a lake.'", environ={"CFAI_REPLAY": "only:lesson.rec.jsonl"}),
        Step(
            "verify lesson.rec.jsonl",
            server={"answer": "Po."},
            environ={"CFAI_REPLAY": "only:lesson.rec.jsonl"},
        ),
        Step("replay", environ={"CFAI_REPLAY": "only:lesson.rec.jsonl"}),
        Step("ask Hi", server={"error": Fault.of(3041)}),
        Step("ask Hi", server={"delay_before_headers": 90.0}, interrupt="@1"),
        Step("status", before=_course),
        Step("ask Hi -m llama-3.2-3b-instruct"),
        Step("ask Hi --max-tokens 500"),
        Step("login --from <root>/config.json", before=_config),
        Step("export simple-one-api"),
        Step("export simple-one-api <root>/work/config.json"),
        Step("login --server " + SERVER, typed=["own-key"], before=_no_course),
        Step("ask Hi -m @cf/meta/llama-3.2-3b-instruct"),
        Step("login --server off"),
        Step("local nowhere.gguf"),
        Step("local serve --port 99999"),
        Step("logout", environ=NO_ACCOUNT),
    ]
}
