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
QUESTIONS = 24
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

def question(number):
    return f"question {number:04d}"

def statuses(ledger):
    return sorted(row["status"] for row in ledger.history.iter_calls())
"""
POOL = """
with multiprocessing.get_context("fork").Pool({children}) as pool:
    print(json.dumps(pool.map(work, range({questions}), chunksize=1)))
    pool.close()  # the workers end by themselves: a signal could reach one that holds a lock
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
    pool = POOL.format(children=CHILDREN, questions=QUESTIONS)
    return run(textwrap.dedent(setup) + pool, **environ)


@pytest.mark.parametrize(
    "setup",
    [
        pytest.param(
            """
            cfai_magics.ask(question(9999))
            def work(number):
                return cfai_magics.ask(question(number)).text
            """,
            id="ask",
        ),
        pytest.param(
            """
            list(cfai_magics.stream(question(9999)))
            def work(number):
                return "".join(cfai_magics.stream(question(number)))
            """,
            id="stream",
        ),
        pytest.param(
            """
            cfai_magics.ask(question(9999))
            def work(number):
                (row,) = cfai_magics.map("{text}", [question(number)], confirm=False)
                return row["answer"]
            """,
            id="map",
        ),
        pytest.param(
            """
            def run(number):
                payload = {"messages": [{"role": "user", "content": question(number)}]}
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
            client.chat(request(question(9999)))
            def work(number):
                return client.chat(request(question(number))).text
            """,
            id="WorkersAI",
        ),
        pytest.param(
            """
            root, account = environ["CLOUDFLARE_API_BASE_URL"], environ["CLOUDFLARE_ACCOUNT_ID"]
            address = f"{root}/accounts/{account}/ai/v1"
            client = WorkersAI.openai_compatible(address, environ["CLOUDFLARE_API_TOKEN"])
            client.chat(request(question(9999)))
            def work(number):
                return client.chat(request(question(number))).text
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
            client.chat(request(question(9999)))
            def work(number):
                return client.chat(request(question(number))).text
            """,
            id="a transport of the user's",
        ),
        pytest.param(
            """
            session = Session(Cfai(gateway="default"), get_home_folder())
            session.ask(request(question(9999)))
            def work(number):
                return session.ask(request(question(number))).text
            """,
            id="a gateway",
        ),
        pytest.param(
            """
            session = Session(Cfai(), get_home_folder())
            def both(numbers):
                with session.parallel([request(question(number)) for number in numbers]) as calls:
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
def test_each_forked_worker_gets_the_answers_to_its_own_questions(
    echoing: Standin, setup: str
) -> None:
    answers = pooled(setup)
    assert answers == [echo(f"question {number:04d}") for number in range(QUESTIONS)]


def test_embeddings_in_forked_workers_are_those_of_their_own_texts(echoing: Standin) -> None:
    same = pooled("""
        session = Session(Cfai(), get_home_folder())
        expected = session.embed([question(number) for number in range(24)]).vectors
        def work(number):
            return list(session.embed([question(number)]).vectors[0]) == list(expected[number])
    """)
    assert same == [True] * QUESTIONS


def test_recordings_of_forked_workers_are_all_kept(echoing: Standin, tmp_path: Path) -> None:
    path = tmp_path / "lesson.cfai.jsonl"
    answers = pooled(
        """
        cfai_magics.ask(question(9999))
        def work(number):
            return cfai_magics.ask(question(number)).text
        """,
        CFAI_REPLAY=f"auto:{path}",
    )
    assert answers == [echo(f"question {number:04d}") for number in range(QUESTIONS)]
    assert len(path.read_bytes().splitlines()) == QUESTIONS + 1


def test_a_child_asks_while_a_thread_of_the_parent_is_in_a_call(echoing: Standin) -> None:
    said = run("""
        begun, go_on = threading.Event(), threading.Event()
        texts = []
        def slowly():
            for text in cfai_magics.stream(question(1)):
                texts.append(text)
                begun.set()
                go_on.wait()
        thread = threading.Thread(target=slowly)
        thread.start()
        begun.wait()
        children = [forked(lambda n=n: cfai_magics.ask(question(n)).text) for n in range(2, 6)]
        answers = [child.result() for child in children]
        go_on.set()
        thread.join()
        print(json.dumps(["".join(texts), *answers]))
    """)
    assert said == [echo(f"question {number:04d}") for number in range(1, 6)]


def test_a_child_asks_while_threads_of_the_parent_ask_all_the_time(echoing: Standin) -> None:
    said = run("""
        stop = threading.Event()
        wrong = []
        def ask_on(name):
            for number in range(90):  # three threads: fewer than the 300 requests per minute
                if stop.is_set():
                    break
                asked = f"question {name} {number}"
                if cfai_magics.ask(asked).text != f"echo of {asked}":
                    wrong.append(asked)
        cfai_magics.ask("question")
        threads = [threading.Thread(target=ask_on, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        answers = []
        for n in range(6):
            answers.append(forked(lambda: cfai_magics.ask(question(n)).text).result())
        stop.set()
        for thread in threads:
            thread.join()
        print(json.dumps([wrong, answers]))
    """)
    assert said == [[], [echo(f"question {number:04d}") for number in range(6)]]


def test_a_child_cannot_read_or_end_the_answer_of_its_parent(echoing: Standin) -> None:
    echoing.switch(answer=LONG)
    said = run("""
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
    assert said == ["IncompleteStreamError", ["reserved"], ["ok"], LONG]


def test_an_interrupt_in_the_parent_reaches_the_server_while_a_child_lives(
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


def test_a_child_that_ends_leaves_the_reservation_of_its_parent(echoing: Standin) -> None:
    said = run("""
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
    assert said == [["reserved"], ["ok"]]


def test_the_reservation_of_a_parent_that_died_is_settled_while_its_child_lives(
    echoing: Standin,
) -> None:
    said = run("""
        ready, tell = os.pipe()
        wait, end = os.pipe()
        parent = os.fork()
        if not parent:
            stream = get_current_session().stream(request("Hi"))
            deltas = iter(stream)
            next(deltas)
            if os.fork():
                os._exit(0)
            os.close(end)
            os.write(tell, b"1")
            os.read(wait, 1)  # until the test ends
            os._exit(0)
        os.waitpid(parent, 0)
        os.read(ready, 1)
        ledger = Ledger(get_home_folder())
        before = statuses(ledger)
        ledger.day_usage("")
        print(json.dumps([before, statuses(ledger)]))
    """)
    assert said == [["reserved"], ["interrupted"]]


def test_calls_of_children_stand_in_one_ledger_under_names_of_their_own(echoing: Standin) -> None:
    said = run("""
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
    assert said == [3, 3, True, True]


def test_the_budget_of_a_session_holds_for_its_children(echoing: Standin) -> None:
    said = run("""
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
    assert said == ["refused", "refused"]


def test_a_database_that_is_open_in_the_parent_is_intact_in_all_processes(
    echoing: Standin, home: Path
) -> None:
    said = run("""
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
    assert said == [3, 3, ""]


def test_a_child_is_told_of_its_own_calls_alone(echoing: Standin) -> None:
    said = run("""
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
    assert said == [False, True, 0]


def test_a_child_uses_the_local_server_of_its_parent_and_cannot_end_it(echoing: Standin) -> None:
    said = run("""
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
        process.stdin.close()  # like the end of the parent
        code = process.wait(60)
        os.close(end)
        child.result()
        listening.close()
        gone = forked(lambda: server.is_running).result()
        print(json.dumps([in_child, running, code, gone]))
    """)
    assert said == [[True, True], True, 0, False]
