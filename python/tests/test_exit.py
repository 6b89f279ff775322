"""Ctrl-C, other signals, exit without close, and fork: each in processes of their own."""

import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import textwrap
import time
from concurrent.futures import ProcessPoolExecutor

import libchat
import pytest
from children import DEADLINE, line, run_all, started, succeed, wait_asleep
from conftest import figure

# The 100 ms, 20 times over: this is to catch a hang on a busy machine.
HEARD_WITHIN = 2.0

BEGIN = """
    import asyncio, gc, os, signal, socket, sys, threading, time
    import libchat
    project = sys.argv[1]

    def say(*what):
        print(*what, flush=True)

    def freeze(server):
        # It does not answer any more, nor does it hang up.
        os.kill(server, signal.SIGSTOP)
        tasks = f"/proc/{server}/task"
        while any(state(f"{tasks}/{task}") != "T" for task in os.listdir(tasks)):
            pass

    def state(task):
        with open(f"{task}/stat") as stat:
            return stat.read().rpartition(") ")[2][0]

    def daemon(work):
        # A thread that is in the midst of it when this returns.
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        while state(f"/proc/self/task/{thread.native_id}") != "S":
            pass

    def forever(call):
        daemon(lambda: [call() for _ in iter(int, 1)])

    def naps():
        with open(f"/proc/self/task/{os.getpid()}/status") as status:
            return int(status.read().partition("voluntary_ctxt_switches:")[2].split()[0])

    def when_it_waits(call):
        # Once the main thread naps, which it does in a wait of libchat's.
        def run():
            first = naps()
            while naps() < first + 4:
                time.sleep(0.01)
            call()

        threading.Thread(target=run).start()
"""

BLOCKING = """
    def blackhole():
        # Its queue of connections is full: the system answers no more of them.
        listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        blackhole.kept = listener, fillers
        return f"nats://127.0.0.1:{address[1]}"

    def iterate(iterator):
        for item in iterator:
            pass

    async def aiterate():
        async with libchat.aio.open(project, "ana") as ana, ana.watch("plan") as watch:
            say("ready")
            async for message in watch:
                pass

    async def aask():
        async with libchat.aio.open(project, "ana") as ana:
            asking = asyncio.create_task(ana.ask("ben", "?"))
            await asyncio.sleep(0)
            say("ready")
            await asking

    def frozen(call):
        freeze(int(sys.argv[3]))
        try:
            call()
        finally:
            os.kill(int(sys.argv[3]), signal.SIGCONT)

    ana = libchat.open(project, "ana")
    watch = ana.watch("plan")
    is_over = threading.Event()
    responder = ana.answer(lambda request: b"")
    ben = libchat.open(project, "ben").answer(lambda request: is_over.wait() and b"")
    calls = {
        "next": watch.next,
        "next_with_timeout": lambda: watch.next(1000),
        "next_event": lambda: iterate(iter(watch.next_event, None)),
        "for": lambda: iterate(watch),
        "for_events": lambda: iterate(watch.events()),
        "ask": lambda: ana.ask("ben", "?", timeout=1000),
        "responder_wait": responder.wait,
        "open": lambda: libchat.open(project, "ana", servers=blackhole(), timeout=1000),
        "send": lambda: frozen(lambda: ana.send("plan", "x", timeout=1000)),
        "history": lambda: frozen(lambda: ana.history("plan")),
        "list_threads": lambda: frozen(lambda: ana.list_threads(timeout=1000)),
        "watch": lambda: frozen(lambda: ana.watch("plan")),
        "async_for": lambda: asyncio.run(aiterate()),
        "async_ask": lambda: asyncio.run(aask()),
    }
    call = calls[sys.argv[2]]
"""

INTERRUPTED = (
    BEGIN
    + BLOCKING
    + """
    for _ in range(5):
        if not sys.argv[2].startswith("async"):
            say("ready")
        try:
            call()
        except KeyboardInterrupt:
            say(time.monotonic())
    say("done")
"""
)

# Blocks that have to close what was opened, as programs have them.
INTERRUPTED_IN_BLOCKS = (
    BEGIN
    + """
    try:
        with libchat.open(project, "ana") as ana, ana.watch("plan") as watch:
            with ana.answer(lambda request: b""):
                say("ready")
                if sys.argv[2] == "send":
                    freeze(int(sys.argv[3]))
                    ana.send("plan", "x", timeout=1000)
                watch.next()
    finally:
        os.kill(int(sys.argv[3]), signal.SIGCONT)
        say(time.monotonic())
"""
)


@pytest.fixture
def server_of_its_own(tmp_path, monkeypatch):
    """The process of a server that a test may stop; children find its address."""
    with libchat.local_server(tmp_path) as server:
        monkeypatch.setenv("LIBCHAT_URL", server.url)
        pid = json.loads((tmp_path / ".libchat/hub.json").read_text())["pid"]
        yield str(pid)
        os.kill(pid, signal.SIGCONT)


CALLS = (
    "next",
    "next_with_timeout",
    "next_event",
    "for",
    "for_events",
    "ask",
    "responder_wait",
    "open",
    "send",
    "history",
    "list_threads",
    "watch",
    "async_for",
    "async_ask",
)
WITHOUT_NAPS = ("async_for", "async_ask")


@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_ends_a_blocking_call(call, project, server_of_its_own):
    took = []
    with started(INTERRUPTED, project, call, server_of_its_own) as child:
        while line(child) == "ready":
            # Calls of the core look for signals between two naps.
            wait_asleep(child.pid, times=0 if call in WITHOUT_NAPS else 2)
            sent = time.monotonic()
            child.send_signal(signal.SIGINT)
            took.append(float(line(child)) - sent)
        assert child.wait(DEADLINE) == 0
    assert len(took) == 5
    assert max(took) < HEARD_WITHIN
    p50, most = statistics.median(took) * 1e3, max(took) * 1e3
    figure(f"Ctrl-C ends {call}: p50 {p50:.0f} ms, max {most:.0f} ms")


@pytest.mark.parametrize("call", ["next", "send"])
def test_ctrl_c_ends_a_program_whose_blocks_close_what_it_opened(call, project, server_of_its_own):
    with started(INTERRUPTED_IN_BLOCKS, project, call, server_of_its_own) as child:
        assert line(child) == "ready"
        wait_asleep(child.pid, times=2)
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        took = float(line(child)) - sent
        child.wait(DEADLINE)
    assert child.returncode == -signal.SIGINT
    # The closing of a connection gives its server 2 s to take what is on the way.
    assert took < HEARD_WITHIN + 2
    figure(f"Ctrl-C in {call} ends a program with blocks: {took * 1e3:.0f} ms")


SIGNALLED = (
    BEGIN
    + """
    class Stop(Exception):
        pass

    def count(*_):
        say("heard")

    def send(*_):
        say(ana.send("other", "from the handler").id)

    def stop(*_):
        raise Stop

    ana = libchat.open(project, "ana")
    watch = ana.watch("plan")
    signal.signal(signal.SIGUSR1, {"count": count, "send": send, "stop": stop}[sys.argv[2]])
    say("ready")
    try:
        say(watch.next().body)
    except Stop:
        say("stopped")
        say(watch.next().body)
"""
)


@pytest.mark.parametrize("handler", ["count", "send"])
def test_a_wait_goes_on_when_a_signal_handler_returns(handler, project, chat):
    with started(SIGNALLED, project, handler) as child:
        assert line(child) == "ready"
        heard = []
        for _ in range(10):
            wait_asleep(child.pid, times=1)
            child.send_signal(signal.SIGUSR1)
            heard.append(line(child))
        chat.send("plan", "what it waits for")
        assert line(child) == "what it waits for"
        assert child.wait(DEADLINE) == 0
    if handler == "count":
        assert heard == ["heard"] * 10
    else:
        assert heard == [message.id for message in chat.history("other")]


def test_signal_handlers_that_raise_out_of_a_loop_lose_nothing(project, chat):
    """Between the loop's taking of a message and its first call Python runs no handler."""
    child = started(
        BEGIN
        + """
    import random
    rng = random.Random(6)

    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    bodies, stops = [], 0
    with libchat.open(project, "ana") as ana, ana.watch("plan") as watch:
        signal.signal(signal.SIGALRM, stop)
        say("ready")
        while len(bodies) < 3000:
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-6 + rng.random() * 1e-3)
                for message in watch:
                    bodies.append(message.body)
            except Stop:
                stops += 1
    assert bodies == [str(number) for number in range(3000)]
    say(stops)
    """,
        project,
    )
    with child as child:
        assert line(child) == "ready"
        for number in range(3000):
            chat.send("plan", str(number))
        stops = int(line(child))
        assert child.wait(DEADLINE) == 0
    assert stops > 100
    figure(f"{stops} signal handlers raised out of a loop over 3,000 messages: 0 lost, 0 twice")


def test_another_thread_interrupts_a_wait(project):
    out = succeed(
        BEGIN
        + """
    import _thread
    ana = libchat.open(project, "ana")
    watch = ana.watch("plan")

    for wait in (watch.next, ana.answer(bytes).wait, lambda: next(watch)):
        try:
            when_it_waits(_thread.interrupt_main)
            wait()
        except KeyboardInterrupt:
            say("interrupted")
    """,
        project,
    )
    assert out == "interrupted\n" * 3


def test_a_signal_handler_that_raises_ends_a_wait_and_nothing_is_lost(project, chat):
    with started(SIGNALLED, project, "stop") as child:
        assert line(child) == "ready"
        wait_asleep(child.pid, times=1)
        child.send_signal(signal.SIGUSR1)
        assert line(child) == "stopped"
        chat.send("plan", "what it waits for")
        assert line(child) == "what it waits for"
        assert child.wait(DEADLINE) == 0


# What a program is in the midst of when it ends without having closed anything.
STATES = {
    "nothing": """
    """,
    "an_idle_watch": """
        watch = ana.watch("plan")
    """,
    "a_descriptor_polled": """
        watch = ana.watch("plan")
        import select
        poll = select.poll()
        poll.register(watch.fileno())
        forever(lambda: poll.poll() and watch.next_event())
    """,
    "threads_in_next": """
        watch = ana.watch("plan")
        for _ in range(4):
            daemon(watch.next)
    """,
    "threads_in_for_while_messages_come": """
        for _ in range(2):
            watch = ana.watch("plan")
            daemon(lambda: list(watch))
        forever(lambda: ana.send("plan", "x", unordered=True))
    """,
    "threads_sending": """
        for _ in range(4):
            forever(lambda: ana.send("plan", "x", unordered=True))
    """,
    "threads_sending_under_opentelemetry": """
        # What libchat uses of it.
        from types import ModuleType, SimpleNamespace
        sys.modules["opentelemetry"] = otel = ModuleType("opentelemetry")
        otel.context = sys.modules["opentelemetry.context"] = SimpleNamespace()
        otel.propagate = SimpleNamespace(inject=lambda it: [it.update(a="b") for _ in range(99)])
        ana.send("plan", "x")
        assert ana.history("plan")[0].headers["a"] == "b"
        for _ in range(4):
            forever(lambda: ana.send("plan", "x", unordered=True))
    """,
    "threads_in_history": """
        ana.send("plan", "x")
        for _ in range(4):
            forever(lambda: list(ana.history("plan")))
    """,
    "threads_in_wrong_calls": """
        def wrong():
            try:
                ana.send("", "x")
            except libchat.InvalidArgument:
                pass
        for _ in range(4):
            forever(wrong)
    """,
    "threads_opening_and_closing": """
        def come_and_go():
            with libchat.open(project, "ana") as chat, chat.watch("plan"):
                chat.answer(bytes).close()
        for _ in range(2):
            forever(come_and_go)
    """,
    "threads_answering": """
        for _ in range(4):
            forever(lambda: ana.answer(bytes).close())
    """,
    "a_handler_that_waits": """
        reached = threading.Event()
        def handler(request):
            reached.set()
            threading.Event().wait()
        responder = ana.answer(handler)
        daemon(lambda: ana.ask("ana", "?"))
        reached.wait()
    """,
    "handlers_that_ask": """
        reached = threading.Event()
        def handler(request):
            reached.set()
            return ana.ask("ana", "?")
        responder = ana.answer(handler, concurrency=8)
        daemon(lambda: ana.ask("ana", "?"))
        reached.wait()
    """,
    "handlers_that_fail": """
        def handler(request):
            raise libchat.Remote("no", "never")
        def ask():
            try:
                ana.ask("ana", "?")
            except libchat.Remote:
                pass
        responder = ana.answer(handler, concurrency=4)
        for _ in range(4):
            forever(ask)
    """,
    "a_thread_in_responder_wait": """
        responder = ana.answer(bytes)
        daemon(responder.wait)
    """,
    "asyncio_with_tasks_left": """
        async def main():
            chat = await libchat.aio.open(project, "ana")
            watch = await chat.watch("plan")
            never = asyncio.get_running_loop().create_future()
            responder = await chat.answer(lambda request: never)
            async def iterate():
                async for message in watch:
                    pass
            waits = [iterate(), watch.next(), chat.ask("ana", "?"), responder.wait()]
            sends = [chat.send(f"t{n}", "x") for n in range(100)]
            tasks = [asyncio.create_task(wait) for wait in waits + sends]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            globals().update(locals())
        asyncio.run(main())
    """,
    "asyncio_in_a_thread": """
        reached = threading.Event()
        async def main():
            async with libchat.aio.open(project, "ana") as chat, chat.watch("plan") as watch:
                async for message in watch:
                    reached.set()
        daemon(lambda: asyncio.run(main()))
        forever(lambda: ana.send("plan", "x", unordered=True))
        reached.wait()
    """,
    "objects_in_cycles": """
        class Box:
            pass
        box = Box()
        box.box, box.ana, box.watch = box, ana, ana.watch("plan")
        box.iterators = iter(box.watch), box.watch.events()
        box.responder = ana.answer(lambda request: box.ana.agent)
        gc.disable()
        del ana, box
    """,
    "an_object_that_closes_when_it_is_deleted": """
        class Box:
            def __init__(self, chat):
                self.chat = chat
                self.watch = chat.watch("plan")
            def __del__(self):
                self.watch.close()
                self.chat.close()
        box = Box(ana)
        # Not before modules are taken apart.
        sys.modules["box"] = box
    """,
    "an_atexit_function_that_sends": """
        import atexit
        atexit.register(lambda: ana.send("plan", "last words"))
        atexit.register(lambda: libchat.open(project, "ben").send("plan", "first words"))
    """,
    "records_being_logged": """
        import logging
        logger = logging.getLogger("libchat")
        logger.addHandler(logging.NullHandler())
        logger.setLevel(logging.DEBUG)
        def come_and_go():
            with libchat.open(project, "ana") as chat, chat.watch("plan"):
                pass
        forever(come_and_go)
    """,
    "a_server_of_its_own": """
        server = libchat.local_server()
        chat = libchat.open(project, "ana", servers=server.url)
        watch = chat.watch("plan")
        daemon(watch.next)
        forever(lambda: chat.send("plan", "x", unordered=True))
        say(server.folder)
    """,
}
ENDINGS = {
    "": 0,
    "sys.exit(3)": 3,
    "raise RuntimeError('on purpose')": 1,
}


@pytest.mark.parametrize("state", STATES)
def test_a_program_that_closes_nothing_ends_at_once_and_in_silence(state, project):
    begin = textwrap.dedent(BEGIN) + "ana = libchat.open(project, 'ana')\n"
    program = begin + textwrap.dedent(STATES[state])
    endings = list(ENDINGS) * 2
    # A project for each: one that ends drops what another has asked it.
    programs = [(f"{program}\n{ending}", f"{project}-{n}") for n, ending in enumerate(endings)]
    ends = run_all(programs)
    for ending, ended in zip(endings, ends, strict=True):
        assert ended.code == ENDINGS[ending], ended
        if "raise" in ending:
            lines = ended.err.splitlines()
            assert lines[-1] == "RuntimeError: on purpose", ended.err
            # This traceback and no other: from 3.13 on with the line itself.
            assert len(lines) <= 4, ended.err
        else:
            assert ended.err == ""
        for folder in ended.out.split():
            assert not os.path.exists(folder)


FORKING = (
    BEGIN
    + """
    import pickle, warnings
    # Newer Pythons warn of every fork of a process with threads.
    warnings.simplefilter("ignore", DeprecationWarning)

    ana = libchat.open(project, "ana")
    watch = ana.watch("plan")
    events = watch.events()
    watch.fileno()
    answering = threading.Event()
    answering.set()
    responder = ana.answer(lambda request: answering.wait() and b"pong")
    receipt = ana.send("plan", "before")
    message = watch.next()
    loop = asyncio.new_event_loop()

    async def open_all():
        chat = await libchat.aio.open(project, "ana")
        return chat, await chat.watch("plan"), await chat.respond(f"{project}.other", bytes)

    aio_ana, aio_watch, aio_responder = loop.run_until_complete(open_all())

    def manager_calls(ana):
        return {
            "project": lambda: ana.project,
            "agent": lambda: ana.agent,
            "send": lambda: ana.send("plan", "x"),
            "watch": lambda: ana.watch("plan"),
            "watch_all": lambda: ana.watch_all(),
            "watch_pattern": lambda: ana.watch_pattern("*"),
            "history": lambda: ana.history("plan"),
            "list_threads": lambda: ana.list_threads(),
            "threads_for_agent": lambda: ana.threads_for_agent("ana"),
            "request": lambda: ana.request("x"),
            "respond": lambda: ana.respond("x", bytes),
            "ask": lambda: ana.ask("ana", "?"),
            "answer": lambda: ana.answer(bytes),
            "stats": lambda: ana.stats(),
            "close": lambda: ana.close(),
        }

    def watch_calls(watch):
        return {
            "next": lambda: watch.next(),
            "next_event": lambda: watch.next_event(),
            "gaps": lambda: watch.gaps,
            "cursor": lambda: watch.cursor,
            "fileno": lambda: watch.fileno(),
            "close": lambda: watch.close(),
        }

    def responder_calls(responder):
        return {"wait": lambda: responder.wait(), "close": lambda: responder.close()}

    async def run(call):
        if hasattr(result := call(), "__await__"):
            await asyncio.wait_for(result, 5)

    def in_asyncio(calls):
        return {f"aio {name}": lambda c=call: asyncio.run(run(c)) for name, call in calls.items()}

    calls = {}
    for thing, make, aio_thing in (
        (ana, manager_calls, aio_ana),
        (watch, watch_calls, aio_watch),
        (responder, responder_calls, aio_responder),
    ):
        made = make(thing)
        # Nothing of it is left out here, but what iterates and only makes an iterator.
        assert {it for it in dir(thing) if it[0] != "_"} - {"events"} == set(made)
        calls |= {f"{type(thing).__name__} {name}": call for name, call in made.items()}
        calls |= in_asyncio({f"{type(thing).__name__} {k}": v for k, v in make(aio_thing).items()})
    calls["iter"] = lambda: next(watch)
    calls["iter events"] = lambda: next(events)
    calls["iter of watch"] = lambda: next(iter(watch))
    calls["open"] = lambda: libchat.open(project, "ana")
    calls["aio iter"] = lambda: asyncio.run(run(lambda: aio_watch.__anext__()))
    calls["aio iter events"] = lambda: asyncio.run(run(lambda: aio_watch.events().__anext__()))
    calls["aio open"] = lambda: asyncio.run(run(lambda: libchat.aio.open(project, "ana")))

    def refuses(call):
        try:
            call()
        except libchat.Forked as error:
            return "spawn" in error.hint
        except BaseException as error:
            say(repr(error))
        return False

    def child():
        # A call that hangs is ended, and named.
        signal.signal(signal.SIGALRM, lambda *_: sys.exit("it hangs"))
        for name, call in calls.items():
            signal.alarm(2)
            if not refuses(call):
                say(name, "does not raise Forked")
        signal.alarm(0)
        # Values are only values.
        assert pickle.loads(pickle.dumps(message)).body == "before"
        assert message.cursor == libchat.Cursor(str(message.cursor))
        assert receipt.cursor.seq == message.cursor.seq

    def check_parent():
        # Messages in order and once, and both ways of waiting.
        for number in range(10):
            ana.send("plan", str(number))
        assert [watch.next(5).body for _ in range(10)] == [str(number) for number in range(10)]
        assert ana.ask("ana", "?") == b"pong"
        bodies = [loop.run_until_complete(aio_watch.next(5)).body for _ in range(10)]
        assert bodies == [str(number) for number in range(10)]
"""
)


@pytest.mark.parametrize("ending", ["os._exit(0)", "sys.exit()", "pass"])
def test_a_forked_child_is_refused_everything_and_its_parent_is_unharmed(ending, project):
    out = succeed(
        FORKING
        + f"""
    if os.fork() == 0:
        child()
        del ana, aio_ana, watch, aio_watch, events, responder, aio_responder, calls, loop
        del message, receipt
        gc.collect()
        {ending}
    else:
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        check_parent()
    """,
        project,
    )
    assert out == ""


def test_forks_at_any_moment_hang_no_child(project):
    """Whatever lock a thread of libchat holds at that moment, it stays locked in the child."""
    out = succeed(
        FORKING
        + """
    import logging
    logging.getLogger("libchat").addHandler(logging.NullHandler())
    logging.getLogger("libchat").setLevel(logging.DEBUG)

    def come_and_go():
        with libchat.open(project, "ben") as ben, ben.watch("busy"):
            ben.send("busy", "x")

    forever(come_and_go)
    forever(lambda: ana.send("busy", "x", unordered=True))
    forever(lambda: ana.ask("ana", "?"))
    forever(lambda: ana.respond(f"{project}.x", bytes).close())
    for number in range(100):
        if os.fork() == 0:
            signal.alarm(10)
            refused = [refuses(call) for call in calls.values()]
            (sys.exit if number % 2 else os._exit)(not all(refused))
    ends = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(100)]
    say(ends.count(0), "well,", ends.count(-signal.SIGALRM), "hung")
    """,
        project,
    )
    assert out == "100 well, 0 hung\n"


def test_a_forked_child_ends_at_once(project):
    out = succeed(
        FORKING
        + """
    for _ in range(4):
        forever(lambda: ana.respond(f"{project}.x", bytes).close())
    began = time.monotonic()
    for _ in range(10):
        if os.fork() == 0:
            sys.exit()
        os.wait()
    say(time.monotonic() - began)
    """,
        project,
    )
    # As long as Python itself takes for ten.
    assert float(out) < 3


def test_a_wait_in_whose_signal_handler_the_process_forks_ends_in_the_child(project):
    out = succeed(
        FORKING
        + """
    class Stop(Exception):
        pass

    def fork(*_):
        if os.fork() == 0:
            signal.alarm(5)
            return
        ends.append(os.waitstatus_to_exitcode(os.wait()[1]))
        raise Stop

    main, ends = os.getpid(), []
    signal.signal(signal.SIGUSR1, fork)
    answering.clear()
    for wait in (watch.next, responder.wait, lambda: ana.ask("ana", "?"), watch.events().__next__):
        try:
            when_it_waits(lambda: os.kill(main, signal.SIGUSR1))
            wait()
        except libchat.Forked:
            os._exit(0)
        except Stop:
            pass
    answering.set()
    assert ends == [0] * 4, ends
    check_parent()
    """,
        project,
    )
    assert out == ""


def test_programs_that_are_started_inherit_nothing(chat):
    with chat.watch("plan") as watch:
        assert watch.fileno() >= 0
        program = ["ls", "-l", "/proc/self/fd"]
        listed = subprocess.run(program, close_fds=False, capture_output=True, text=True)
    assert "pipe:" in listed.stdout
    for inherited in ("socket:", "eventfd", "eventpoll"):
        assert inherited not in listed.stdout


def refused(project, queue):
    """What a worker gets: the manager's process was this one's before the fork."""
    try:
        libchat.open(project, "worker")
    except libchat.Forked as error:
        queue.put(error)


def serve(project, values, queue):
    with libchat.open(project, "worker") as worker:
        message, receipt, cursor, history = values
        sent = worker.send(message, "from a worker", reply_to=message)
        assert receipt.cursor.seq == cursor.seq == history[-1].cursor.seq
        queue.put((sent, worker.history(message, start=cursor)[0], *values))
        try:
            worker.send("plan", "late", expect_last="empty")
        except libchat.Conflict as error:
            queue.put(error)


def send_from_a_pool(project, number):
    with libchat.open(project, f"worker-{os.getpid()}") as worker:
        return worker.send("plan", str(number))


def process(method, target, *args):
    """Runs `target` in another process: what it puts into its queue, and how it ended."""
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    worker = context.Process(target=target, args=(*args, queue), daemon=True)
    worker.start()
    return worker, queue


# From 3.12 on Python itself warns of every fork of a process that has threads.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_of_multiprocessing_that_was_forked_is_told_so(project, chat):
    worker, queue = process("fork", refused, project)
    error = queue.get(timeout=DEADLINE)
    worker.join(DEADLINE)
    assert worker.exitcode == 0
    assert isinstance(error, libchat.Forked)
    assert "spawn" in error.hint
    assert chat.send("plan", "the parent is unharmed").cursor.seq == 1


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_processes_that_are_not_forked_send_and_values_pass_between_them(method, project, chat):
    receipt = chat.send("plan", "from the parent")
    history = chat.history("plan")
    values = (history[0], receipt, history[0].cursor, history)
    worker, queue = process(method, serve, project, values)
    sent, message, *back = queue.get(timeout=DEADLINE)
    error = queue.get(timeout=DEADLINE)
    worker.join(DEADLINE)
    assert worker.exitcode == 0
    assert tuple(back) == values
    assert (message.body, message.reply_to) == ("from a worker", history[0].id)
    assert (sent.id, sent.cursor.seq) == (message.id, message.cursor.seq)
    assert type(error) is libchat.Conflict
    assert (error.retryable, error.code, bool(error.id)) == (False, "conflict", True)


def test_a_pool_of_processes_sends(project, chat):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool, chat.watch("plan") as watch:
        receipts = list(pool.map(send_from_a_pool, [project] * 20, range(20)))
        messages = [watch.next(DEADLINE) for _ in receipts]
    assert sorted(int(message.body) for message in messages) == list(range(20))
    assert {message.id for message in messages} == {receipt.id for receipt in receipts}
