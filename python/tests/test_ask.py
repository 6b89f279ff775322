"""Asking and answering, requests and responders: at once, and nothing is stored. For both faces."""

import collections
import gc
import queue
import threading
import time
from typing import Any

import libchat
import pytest
from test_aio import PATIENCE, Asyncio, faces

FIXED_TEXT = "the handler failed; its own log says why"


@faces
def test_an_ask_is_answered_and_nothing_is_stored(face, project: str) -> None:
    with face.open(project, "ana") as ana, face.open(project, "ben") as ben:
        with ben.answer(lambda request: b"7 " + request.payload):
            assert ana.ask("ben", "EUR") == b"7 EUR"
            assert ana.ask("ben", b"\xff\x00") == b"7 \xff\x00"
        assert ana.list_threads() == []


@faces
def test_a_handler_is_given_what_was_asked(face, project: str) -> None:
    asked: queue.Queue[libchat.Request] = queue.Queue()

    def handler(request: libchat.Request) -> str:
        asked.put(request)
        return "ok"

    with face.open(project, "ana") as ana:
        with ana.respond(f"{project}.*.>", handler), ana.answer(handler):
            ana.request(f"{project}.a.b.c", "Grüße")
            ana.request(f"{project}.a.b")
            ana.ask("ana", b"")
        requests = [asked.get(timeout=PATIENCE) for _ in range(4)]
    # The agent's own subject fits the wildcards too.
    assert collections.Counter((it.subject, it.payload) for it in requests) == {
        (f"{project}.a.b.c", "Grüße".encode()): 1,
        (f"{project}.a.b", b""): 1,
        (f"{project}.ask.ana", b""): 2,
    }
    assert all(isinstance(it, libchat.Request) for it in requests)


@faces
@pytest.mark.parametrize(
    ("answer", "expected"),
    [("Grüße", "Grüße".encode()), (b"\xff", b"\xff"), ("", b""), (b"", b"")],
)
def test_an_answer_is_a_text_or_any_bytes(face, project: str, answer: Any, expected: bytes) -> None:
    with face.open(project, "ana") as ana, ana.answer(lambda request: answer):
        assert ana.ask("ana", "?") == expected


@faces
def test_who_is_away_is_said_at_once(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        for ask in (lambda: ana.ask("ben", "?"), lambda: ana.request(f"{project}.nobody")):
            begun = time.monotonic()
            with pytest.raises(libchat.NoResponders) as caught:
                ask()
            assert time.monotonic() - begun < 5
            assert (caught.value.code, caught.value.retryable) == ("no_responders", True)
            assert isinstance(caught.value, ConnectionError)
            assert project in str(caught.value)


@faces
def test_silence_is_a_timeout(face, project: str) -> None:
    go = threading.Event()
    # In its own face: a handler that blocks holds up the event loop of libchat.aio.
    with (
        libchat.open(project, "ben") as ben,
        face.open(project, "ana") as ana,
        ben.answer(lambda request: go.wait(PATIENCE) and "too late"),
    ):
        begun = time.monotonic()
        with pytest.raises(libchat.Timeout) as caught:
            ana.ask("ben", "?", timeout=0.3)
        assert 0.2 < time.monotonic() - begun < 5
        assert str(caught.value) == f"request {project}.ask.ben: no answer within 0.3 s"
        assert caught.value.code == "timeout"
        go.set()


@faces
def test_a_handlers_remote_reaches_who_asked_with_its_code_and_text(face, project: str) -> None:
    def handler(request: libchat.Request) -> str:
        raise libchat.Remote("no_such_city", "I know Paris and Rome: ünly")

    with (
        face.open(project, "ana") as ana,
        ana.answer(handler),
        pytest.raises(libchat.Remote) as caught,
    ):
        ana.ask("ana", "how far is Oslo?")
    error = caught.value
    assert (error.code, error.remote_code) == ("remote", "no_such_city")
    assert str(error).endswith(": I know Paris and Rome: ünly")
    assert error.retryable is False


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("even this fails")


@faces
@pytest.mark.parametrize(
    "failure",
    [
        ValueError("a secret"),
        libchat.NotFound("a secret"),
        libchat.Remote("not a word!", "a secret"),
        libchat.Remote("", "a secret"),
        libchat.Remote("x" * 65, "a secret"),
        Unspeakable("a secret"),
        StopIteration("a secret"),
        TimeoutError("a secret"),
    ],
    ids=repr,
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_any_other_failure_of_a_handler_is_told_without_its_text(
    face, project: str, failure: Exception
) -> None:
    def handler(request: libchat.Request) -> str:
        if request.payload == b"fail":
            raise failure
        return "well"

    with face.open(project, "ana") as ana, ana.answer(handler):
        with pytest.raises(libchat.Remote) as caught:
            ana.ask("ana", "fail", timeout=5)
        assert caught.value.remote_code == "handler_failed"
        assert str(caught.value).endswith(f": {FIXED_TEXT}")
        assert "secret" not in str(caught.value)
        # And the next one is answered.
        assert ana.ask("ana", "again", timeout=5) == b"well"


@faces
@pytest.mark.parametrize("answer", [None, 7, bytearray(b"x"), ["x"], "\ud800"])
def test_an_answer_of_a_wrong_type_is_a_failure(face, project: str, answer: Any) -> None:
    with face.open(project, "ana") as ana, ana.answer(lambda request: answer):
        with pytest.raises(libchat.Remote) as caught:
            ana.ask("ana", "?", timeout=5)
        assert caught.value.remote_code == "handler_failed"


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_handler_that_wants_to_end_its_thread_does_not_end_the_responder(
    project: str, end: type[BaseException]
) -> None:
    def handler(request: libchat.Request) -> str:
        if request.payload == b"end":
            raise end
        return "well"

    with libchat.open(project, "ana") as ana, ana.answer(handler):
        with pytest.raises(libchat.Remote):
            ana.ask("ana", "end", timeout=2)
        assert ana.ask("ana", "again", timeout=2) == b"well"


@faces
def test_an_answer_that_is_too_large_is_said_to_who_asked(face, project: str) -> None:
    with face.open(project, "ana") as ana, ana.answer(lambda request: "x" * 2_000_000):
        with pytest.raises(libchat.Remote) as caught:
            ana.ask("ana", "?", timeout=5)
        assert caught.value.remote_code == "too_large"
        with pytest.raises(libchat.TooLarge):
            ana.ask("ana", "x" * 2_000_000, timeout=5)


# Many at once


def test_as_many_handlers_run_at_once_as_was_said(project: str) -> None:
    # Three that wait for each other: fewer threads would never get through.
    together = threading.Barrier(3)
    names: set[str] = set()

    def handler(request: libchat.Request) -> str:
        thread = threading.current_thread()
        assert thread.daemon
        names.add(thread.name)
        together.wait(PATIENCE)
        return "together"

    with libchat.open(project, "ana") as ana, ana.answer(handler, concurrency=3):
        answers: queue.Queue[bytes] = queue.Queue()
        for _ in range(3):
            threading.Thread(target=lambda: answers.put(ana.ask("ana", "?"))).start()
        assert [answers.get(timeout=PATIENCE) for _ in range(3)] == [b"together"] * 3
    assert names == {f"libchat-handler-{n}" for n in range(3)}


@faces
def test_a_queue_group_shares_and_without_one_everybody_hears(face, project: str) -> None:
    heard: queue.Queue[str] = queue.Queue()

    def hears(name: str) -> Any:
        def handler(request: libchat.Request) -> str:
            heard.put(name)
            return name

        return handler

    with face.open(project, "ana") as ana, face.open(project, "ben") as ben:
        subject = f"{project}.shared"
        with (
            ana.respond(subject, hears("ana"), queue_group="g"),
            ben.respond(subject, hears("ben"), queue_group="g"),
        ):
            answers = collections.Counter(ana.request(subject) for _ in range(60))
            assert set(answers) == {b"ana", b"ben"}
            assert collections.Counter(heard.get(timeout=PATIENCE) for _ in range(60)) == {
                name.decode(): count for name, count in answers.items()
            }
        assert heard.empty()
        with ana.respond(subject, hears("ana")), ben.respond(subject, hears("ben")):
            assert ana.request(subject) in (b"ana", b"ben")
            assert {heard.get(timeout=PATIENCE) for _ in range(2)} == {"ana", "ben"}


def test_the_faces_ask_each_other(project: str) -> None:
    with (
        libchat.open(project, "ana") as ana,
        Asyncio.open(project, "ben") as ben,
        ana.answer(lambda request: "blocking"),
        ben.answer(lambda request: "asyncio"),
    ):
        assert (ana.ask("ben", "?"), ben.ask("ana", "?")) == (b"asyncio", b"blocking")


# Ends


@faces
def test_a_closed_responder_does_not_answer(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        responder = ana.answer(lambda request: "here")
        assert isinstance(ana.ask("ana", "?"), bytes)
        responder.close()
        responder.close()
        with pytest.raises(libchat.NoResponders):
            ana.ask("ana", "?")
        # Another may take its place.
        with ana.answer(lambda request: "again"):
            assert ana.ask("ana", "?") == b"again"


@faces
def test_wait_ends_when_the_responder_is_closed(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        responder = ana.answer(lambda request: "here")
        begun = time.monotonic()
        assert responder.wait(timeout=0) is None
        assert responder.wait(timeout=0.1) is None
        assert 0.09 < time.monotonic() - begun < 5
        closing = threading.Timer(0.1, responder.close)
        closing.start()
        assert responder.wait(timeout=PATIENCE) is None
        assert time.monotonic() - begun < 5
        assert responder.wait() is None
        closing.join()


@faces
def test_wait_raises_closed_when_the_manager_was_closed(face, project: str) -> None:
    ana = face.open(project, "ana")
    responder = ana.answer(lambda request: "here")
    closing = threading.Timer(0.1, ana.close)
    closing.start()
    with pytest.raises(libchat.Closed):
        responder.wait(timeout=PATIENCE)
    closing.join()


def test_wait_hears_of_the_managers_end_while_a_handler_runs(project: str) -> None:
    asked, go = threading.Event(), threading.Event()

    def handler(request: libchat.Request) -> str:
        asked.set()
        go.wait(PATIENCE)
        return "too late"

    ana = libchat.open(project, "ana")
    responder = ana.answer(handler)
    asking = threading.Thread(target=pytest.raises, args=(libchat.Closed, ana.ask, "ana", "?"))
    asking.start()
    assert asked.wait(PATIENCE)
    ana.close()
    try:
        with pytest.raises(libchat.Closed):
            responder.wait(timeout=2)
    finally:
        go.set()
        asking.join()


@faces
def test_a_handler_that_runs_at_close_is_let_through(face, project: str) -> None:
    asked, go, answered = threading.Event(), threading.Event(), threading.Event()

    def handler(request: libchat.Request) -> str:
        asked.set()
        go.wait(PATIENCE)
        answered.set()
        return "in time"

    with libchat.open(project, "ben") as ben, face.open(project, "ana") as ana:
        responder = ben.answer(handler)
        answers: queue.Queue[bytes] = queue.Queue()
        asking = threading.Thread(target=lambda: answers.put(ana.ask("ben", "?")))
        asking.start()
        assert asked.wait(PATIENCE)
        responder.close()
        go.set()
        assert answers.get(timeout=PATIENCE) == b"in time"
        assert answered.is_set()
        asking.join()


def test_a_responder_keeps_its_manager(project: str) -> None:
    responder = libchat.open(project, "ben").answer(lambda request: "still here")
    gc.collect()
    with libchat.open(project, "ana") as ana:
        assert ana.ask("ben", "?") == b"still here"
    responder.close()
