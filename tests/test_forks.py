"""A forked child uses its own connections, files and locks: real HTTP, real forks."""

import os
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.forked import run_script
from tests.standin import Standin

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
]
CHILDREN = 6
REQUESTS = 24
LONG = "word " * 3_000  # its frames exceed one read of the socket
HEAD = """
import json, multiprocessing, os, sys, threading
from pathlib import Path
import cfai_magics
from cfai_magics.api import get_current_session
from cfai_magics.errors import BudgetExceededError, CfaiError
from cfai_magics.session.session import Session
from cfai_magics.settings import Cfai, get_home_folder
from cfai_magics.storage.database import integrity_error
from cfai_magics.storage.ledger import Ledger
from cfai_magics.types.messages import Request, TextDelta
from cfai_magics.workers_ai.client import WorkersAI
from tests.forked import forked

MODEL = "@cf/google/gemma-4-26b-a4b-it"
BGE = "@cf/baai/bge-m3"
environ = os.environ

def request(text):
    return Request(MODEL, ({"role": "user", "content": text},))

def prompt(number):
    return f"question {number:04d}"

def statuses(ledger):
    return sorted(row["status"] for row in ledger.history.iter_calls())
"""
POOL = """
with multiprocessing.get_context("fork").Pool({children}) as pool:
    print(json.dumps(pool.map(work, range({requests}), chunksize=1)))
    pool.close()  # the workers exit by themselves: a signal could stop one with a lock
    pool.join()
"""


def echo(text: str) -> str:
    return f"echo of {text}"


@pytest.fixture
def echoing(account: Standin) -> Standin:
    account.switch(answer=echo)
    return account


def run(source: str, **environ: str) -> Any:
    return run_script(HEAD + textwrap.dedent(source), environ)


def pooled(setup: str, **environ: str) -> Any:
    pool = POOL.format(children=CHILDREN, requests=REQUESTS)
    return run(textwrap.dedent(setup) + pool, **environ)


@pytest.mark.parametrize(
    "setup",
    [
        pytest.param(
            """
            cfai_magics.ask(prompt(9999))
            def work(number):
                return cfai_magics.ask(prompt(number)).text
            """,
            id="ask",
        ),
        pytest.param(
            """
            list(cfai_magics.stream(prompt(9999)))
            def work(number):
                return "".join(cfai_magics.stream(prompt(number)))
            """,
            id="stream",
        ),
        pytest.param(
            """
            cfai_magics.ask(prompt(9999))
            def work(number):
                (row,) = cfai_magics.map("{text}", [prompt(number)], confirm=False)
                return row["answer"]
            """,
            id="map",
        ),
        pytest.param(
            """
            def run(number):
                payload = {"messages": [{"role": "user", "content": prompt(number)}]}
                return cfai_magics.run(MODEL, payload).result["choices"][0]["message"]["content"]
            run(9999)
            work = run
            """,
            id="run",
        ),
        pytest.param(
            """
            client = WorkersAI(
                environ["CLOUDFLARE_ACCOUNT_ID"],
                environ["CLOUDFLARE_API_TOKEN"],
                base_url=environ["CLOUDFLARE_API_BASE_URL"],
            )
            client.chat(request(prompt(9999)))
            def work(number):
                return client.chat(request(prompt(number))).text
            """,
            id="WorkersAI",
        ),
        pytest.param(
            """
            root, account = environ["CLOUDFLARE_API_BASE_URL"], environ["CLOUDFLARE_ACCOUNT_ID"]
            address = f"{root}/accounts/{account}/ai/v1"
            client = WorkersAI.openai_compatible(address, environ["CLOUDFLARE_API_TOKEN"])
            client.chat(request(prompt(9999)))
            def work(number):
                return client.chat(request(prompt(number))).text
            """,
            id="another server",
        ),
        pytest.param(
            """
            import httpx
            client = WorkersAI(
                environ["CLOUDFLARE_ACCOUNT_ID"],
                environ["CLOUDFLARE_API_TOKEN"],
                base_url=environ["CLOUDFLARE_API_BASE_URL"],
                transport=httpx.HTTPTransport(),
            )
            client.chat(request(prompt(9999)))
            def work(number):
                return client.chat(request(prompt(number))).text
            """,
            id="a custom transport",
        ),
        pytest.param(
            """
            session = Session(Cfai(gateway="default"), get_home_folder())
            session.ask(request(prompt(9999)))
            def work(number):
                return session.ask(request(prompt(number))).text
            """,
            id="a gateway",
        ),
        pytest.param(
            """
            session = Session(Cfai(), get_home_folder())
            def both(numbers):
                with session.parallel([request(prompt(number)) for number in numbers]) as calls:
                    for _ in calls:
                        pass
                    return calls.answers
            both([9998, 9999])
            def work(number):
                return both([number, 9999])[0].text
            """,
            id="parallel",
        ),
    ],
)
def test_each_forked_worker_receives_its_own_answers(echoing: Standin, setup: str) -> None:
    answers = pooled(setup)
    assert answers == [echo(f"question {number:04d}") for number in range(REQUESTS)]


def test_each_forked_worker_receives_its_own_embeddings(echoing: Standin) -> None:
    same = pooled("""
        session = Session(Cfai(), get_home_folder())
        expected = session.embed([prompt(number) for number in range(24)]).vectors
        def work(number):
            return list(session.embed([prompt(number)]).vectors[0]) == list(expected[number])
    """)
    assert same == [True] * REQUESTS


def test_recordings_of_all_forked_workers_are_saved(echoing: Standin, tmp_path: Path) -> None:
    path = tmp_path / "lesson.cfai.jsonl"
    answers = pooled(
        """
        cfai_magics.ask(prompt(9999))
        def work(number):
            return cfai_magics.ask(prompt(number)).text
        """,
        CFAI_REPLAY=f"auto:{path}",
    )
    assert answers == [echo(f"question {number:04d}") for number in range(REQUESTS)]
    assert len(path.read_bytes().splitlines()) == REQUESTS + 1


def test_a_child_sends_requests_during_a_call_of_the_parent(echoing: Standin) -> None:
    result = run("""
        started, go_on = threading.Event(), threading.Event()
        texts = []
        def slowly():
            for text in cfai_magics.stream(prompt(1)):
                texts.append(text)
                started.set()
                go_on.wait()
        thread = threading.Thread(target=slowly)
        thread.start()
        started.wait()
        children = [forked(lambda n=n: cfai_magics.ask(prompt(n)).text) for n in range(2, 6)]
        answers = [child.result() for child in children]
        go_on.set()
        thread.join()
        print(json.dumps(["".join(texts), *answers]))
    """)
    assert result == [echo(f"question {number:04d}") for number in range(1, 6)]


def test_a_child_sends_requests_while_parent_threads_send_requests(echoing: Standin) -> None:
    result = run("""
        stop = threading.Event()
        wrong = []
        def keep_asking(name):
            for number in range(90):  # three threads: fewer than the 300 requests per minute
                if stop.is_set():
                    break
                text = f"question {name} {number}"
                if cfai_magics.ask(text).text != f"echo of {text}":
                    wrong.append(text)
        cfai_magics.ask("question")
        threads = [threading.Thread(target=keep_asking, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        answers = []
        for n in range(6):
            answers.append(forked(lambda: cfai_magics.ask(prompt(n)).text).result())
        stop.set()
        for thread in threads:
            thread.join()
        print(json.dumps([wrong, answers]))
    """)
    assert result == [[], [echo(f"question {number:04d}") for number in range(6)]]


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("cfai_magics.replay.fingerprint", "sha256"),
        ("cfai_magics.workers_ai.chat_stream", "estimate_prompt_tokens"),
    ],
)
def test_a_child_does_not_wait_for_a_value_that_a_parent_thread_computes(
    account: Standin, module: str, function: str
) -> None:
    account.switch(answer=echo, omit_usage=True)
    result = run(f"""
        import importlib
        module = importlib.import_module({module!r})
        compute = module.{function}
        started, go_on = threading.Event(), threading.Event()
        def slowly(*args):
            if threading.current_thread() is thread:
                started.set()
                go_on.wait()
            return compute(*args)
        module.{function} = slowly
        thread = threading.Thread(target=cfai_magics.ask, args=(prompt(1),))
        thread.start()
        started.wait()
        child = forked(lambda: cfai_magics.ask(prompt(2)).text)
        answer = child.result()
        go_on.set()
        thread.join()
        print(json.dumps(answer))
    """)
    assert result == echo("question 0002")


def test_a_fork_does_not_wait_for_a_thread_that_tests_the_lock_of_a_kernel(
    echoing: Standin,
) -> None:
    result = run("""
        from cfai_magics.storage.kernel_lock import KernelLock

        open_streams = []
        def leave():
            open_streams.append(iter(cfai_magics.stream("Go on.")))
            next(open_streams[0])

        cfai_magics.ask("question")
        forked(leave).result()  # it ends with a reservation
        started, go_on = threading.Event(), threading.Event()
        # Hooks run in reverse order: those of filelock, this one, ours.
        os.register_at_fork(before=go_on.set)
        import filelock

        is_alive = KernelLock.is_alive
        def slowly(lock, name):
            if threading.current_thread() is thread:
                started.set()
                go_on.wait()
            return is_alive(lock, name)
        KernelLock.is_alive = slowly
        thread = threading.Thread(target=cfai_magics.ask, args=(prompt(1),))
        thread.start()
        started.wait()
        answer = forked(lambda: cfai_magics.ask(prompt(2)).text).result()
        thread.join()
        print(json.dumps(answer))
    """)
    assert result == echo("question 0002")


def test_a_child_cannot_read_or_end_the_answer_of_its_parent(echoing: Standin) -> None:
    echoing.switch(answer=LONG)
    result = run("""
        session = get_current_session()
        with session.stream(request("Go on.")) as stream:
            deltas = iter(stream)
            next(deltas)
            def read():
                try:
                    for _ in deltas:
                        pass
                except CfaiError as error:
                    stream.close()
                    session.backend.client().abort()
                    session.close()
                    return type(error).__name__
            failure = forked(read).result()
            before = statuses(session.accounting.ledger)
            for _ in deltas:
                pass
        after = statuses(session.accounting.ledger)
        print(json.dumps([failure, before, after, stream.answer.text]))
    """)
    assert result == ["IncompleteStreamError", ["reserved"], ["ok"], LONG]


def test_an_interrupt_in_the_parent_reaches_the_server_despite_a_child(
    echoing: Standin,
) -> None:
    echoing.switch(answer="word " * 100_000)
    run("""
        wait, end = os.pipe()
        with get_current_session().stream(request("Go on.")) as stream:
            next(iter(stream))
            child = forked(lambda: os.close(end) or os.read(wait, 1).decode())
        os.close(end)
        child.result()
        print("null")
    """)
    assert echoing.wait_for(lambda server: server.disconnects >= 1)


def test_an_exiting_child_keeps_the_reservation_of_its_parent(echoing: Standin) -> None:
    result = run("""
        session = get_current_session()
        with session.stream(request("Hi")) as stream:
            deltas = iter(stream)
            next(deltas)
            pid = os.fork()
            if not pid:
                sys.exit()  # leaves the `with` block like an exception
            os.waitpid(pid, 0)
            another = Ledger(get_home_folder())
            another.day_usage(session.backend.billing_account())
            during = statuses(another)
            for _ in deltas:
                pass
        print(json.dumps([during, statuses(another)]))
    """)
    assert result == [["reserved"], ["ok"]]


def test_the_reservation_of_a_dead_parent_is_settled_despite_a_child(
    echoing: Standin,
) -> None:
    result = run("""
        ready, notify = os.pipe()
        wait, end = os.pipe()
        parent = os.fork()
        if not parent:
            stream = get_current_session().stream(request("Hi"))
            deltas = iter(stream)
            next(deltas)
            if os.fork():
                os._exit(0)
            os.close(end)
            os.write(notify, b"1")
            os.read(wait, 1)  # until the script exits
            os._exit(0)
        os.waitpid(parent, 0)
        os.read(ready, 1)
        ledger = Ledger(get_home_folder())
        before = statuses(ledger)
        ledger.day_usage("")
        print(json.dumps([before, statuses(ledger)]))
    """)
    assert result == [["reserved"], ["interrupted"]]


def test_children_use_one_ledger_with_their_own_kernel_names(echoing: Standin) -> None:
    result = run("""
        session = get_current_session()
        cfai_magics.ask("Hi")
        def work():
            cfai_magics.ask("Hi")
            return forked(deeper).result()
        def deeper():
            cfai_magics.ask("Hi")
            return session.accounting.ledger.kernel
        deep = forked(work).result()
        rows = list(session.accounting.ledger.history.iter_calls())
        kernels = {row["kernel"] for row in rows}
        own = session.accounting.ledger.kernel
        print(json.dumps([len(rows), len(kernels), deep in kernels, own in kernels]))
    """)
    assert result == [3, 3, True, True]


def test_the_budget_of_a_session_applies_to_its_children(echoing: Standin) -> None:
    result = run("""
        session = get_current_session()
        used = cfai_magics.ask("Hi").neurons
        session.accounting.ledger.budgets.set("session", used + 0.01)
        def work():
            try:
                cfai_magics.ask("A question that is longer than what is left " * 20)
            except BudgetExceededError:
                return "refused"
        print(json.dumps([forked(work).result(), forked(lambda: forked(work).result()).result()]))
    """)
    assert result == ["refused", "refused"]


def test_a_database_open_in_the_parent_stays_intact_in_all_processes(
    echoing: Standin, home: Path
) -> None:
    result = run("""
        session = get_current_session()
        cfai_magics.ask("Hi")
        wait, end = os.pipe()
        def work():
            os.close(end)
            cfai_magics.ask("Hi")
            os.read(wait, 1)  # until the parent closes the file
            cfai_magics.ask("Hi")
            return len(list(session.accounting.ledger.history.iter_calls()))
        child = forked(work)
        session.close()
        os.close(end)
        counted = child.result()
        ledger = Ledger(get_home_folder())
        call_count = len(list(ledger.history.iter_calls()))
        print(json.dumps([counted, call_count, integrity_error(ledger.path)]))
    """)
    assert result == [3, 3, ""]


def test_a_child_is_notified_only_of_its_own_calls(echoing: Standin) -> None:
    result = run("""
        session = get_current_session()
        parents, childs = [], []
        session.watch(lambda: parents.append(os.getpid()))
        def work():
            session.watch(lambda: childs.append(os.getpid()))
            cfai_magics.ask("Hi")
            is_mine = set(childs) == {os.getpid()}
            return [os.getpid() in parents, is_mine, len(session.active_calls)]
        print(json.dumps(forked(work).result()))
    """)
    assert result == [False, True, 0]


def test_a_child_uses_the_local_server_of_its_parent_but_cannot_stop_it(echoing: Standin) -> None:
    result = run("""
        import socket, subprocess
        from cfai_magics.backends.local_server import LocalServer
        from cfai_magics.secret import Secret
        listening = socket.create_server(("127.0.0.1", 0))
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE
        )
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = LocalServer(process, address, Secret("key"), "small")
        def work():
            before = server.is_running
            server.stop()
            return [before, server.is_running]
        in_child = forked(work).result()
        wait, end = os.pipe()
        child = forked(lambda: os.close(end) or os.read(wait, 1).decode())
        running = server.is_running
        process.stdin.close()  # as at the exit of the parent
        code = process.wait(60)
        os.close(end)
        child.result()
        listening.close()
        gone = forked(lambda: server.is_running).result()
        print(json.dumps([in_child, running, code, gone]))
    """)
    assert result == [[True, True], True, 0, False]
