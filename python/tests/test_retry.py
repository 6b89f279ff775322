"""When no answer came: the message may be stored, and its id makes it safe to send again."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libchat
import pytest
import tenacity
from test_aio import PATIENCE, eventually, faces, run

_numbers = itertools.count()


class Own:
    """A server of these tests' own, which they may stop for a while."""

    def __init__(self, server: libchat.LocalServer) -> None:
        self.url = server.url
        hub = json.loads(Path(server.folder, ".libchat", "hub.json").read_text(encoding="utf-8"))
        self._process = hub["pid"]

    def thaw(self, *_: Any) -> None:
        os.kill(self._process, signal.SIGCONT)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        os.kill(self._process, signal.SIGSTOP)
        # All its threads stand still when its parent, which we are, is told.
        os.waitpid(self._process, os.WUNTRACED)
        try:
            yield
        finally:
            self.thaw()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    with libchat.local_server(tmp_path_factory.mktemp("own")) as server:
        own = Own(server)
        yield own
        own.thaw()


@pytest.fixture
def shop() -> str:
    """The name of a project that nothing was said in, on that server."""
    return f"shop-{next(_numbers)}"


def bodies(chat: Any) -> list[str]:
    return [message.body for message in chat.history("plan")]


@faces
def test_a_send_without_an_answer_has_an_unknown_outcome_and_tells_its_id(
    face, own: Own, shop: str
) -> None:
    with face.open(shop, "ana", servers=own.url) as ana:
        ana.send("plan", "0")
        with own.frozen():
            begun = time.monotonic()
            with pytest.raises(libchat.OutcomeUnknown) as drawn:
                ana.send("plan", "1", timeout=0.3)
            with pytest.raises(libchat.OutcomeUnknown) as given:
                ana.send("other", "2", timeout=0.3, id="job-7")
            assert time.monotonic() - begun < 5
        assert len(drawn.value.id) == 32
        assert given.value.id == "job-7"
        assert (drawn.value.retryable, given.value.retryable) == (False, True)
        assert drawn.value.hint == "send again with the same id: the server drops the copy"
        assert isinstance(drawn.value, TimeoutError)
        assert not isinstance(drawn.value, libchat.Timeout)
        assert "no answer says whether it is stored" in str(drawn.value)
        # The hint is right: by the id it is stored once.
        ana.send("plan", "1", id=drawn.value.id)
        ana.send("other", "2", id=given.value.id)
        assert bodies(ana) == ["0", "1"]
        assert [message.body for message in ana.history("other")] == ["2"]


def test_a_send_that_waited_in_line_behind_it_was_not_stored(own: Own, shop: str) -> None:
    # Of one thread, one at a time is on its way: the second never left.
    async def main() -> None:
        async with libchat.aio.open(shop, "ana", servers=own.url) as ana:
            with own.frozen():
                sends = (
                    ana.send("plan", "1", timeout=1, id="first"),
                    ana.send("plan", "2", timeout=0.3, id="second"),
                )
                ends = await asyncio.gather(*sends, return_exceptions=True)
            kinds = [(type(end), end.id, end.retryable) for end in ends]
            assert kinds == [
                (libchat.OutcomeUnknown, "first", True),
                (libchat.Timeout, "second", True),
            ]
            await ana.send("plan", "3")
            assert [message.body for message in await ana.history("plan")] == ["1", "3"]

    run(main)


def is_worth_it(error: BaseException) -> bool:
    """What the documentation tells wrappers to ask."""
    return getattr(error, "retryable", False)


def wrapper(kind: Any, own: Own) -> Any:
    """Tries up to five times, the first time with a frozen server."""
    return kind(
        retry=tenacity.retry_if_exception(is_worth_it),
        stop=tenacity.stop_after_attempt(5),
        before_sleep=own.thaw,
        reraise=True,
    )


def test_a_retry_wrapper_around_a_send_under_an_id_stores_once(own: Own, shop: str) -> None:
    with libchat.open(shop, "ana", servers=own.url) as ana:
        ana.send("plan", "0")
        retrying = wrapper(tenacity.Retrying, own)
        with own.frozen():
            receipt = retrying(ana.send, "plan", "1", id="job-7", timeout=0.3)
        assert retrying.statistics["attempt_number"] == 2, "the fault was not hit"
        assert (receipt.id, receipt.duplicate) == ("job-7", True)
        assert bodies(ana) == ["0", "1"]


def test_a_retry_wrapper_around_a_coroutine_that_sends_under_an_id_stores_once(
    own: Own, shop: str
) -> None:
    async def main() -> None:
        async with libchat.aio.open(shop, "ana", servers=own.url) as ana:
            attempts = 0

            @tenacity.retry(
                retry=tenacity.retry_if_exception(is_worth_it),
                stop=tenacity.stop_after_attempt(5),
                before_sleep=own.thaw,
                reraise=True,
            )
            async def send() -> libchat.Receipt:
                nonlocal attempts
                attempts += 1
                return await ana.send("plan", "1", id="job-7", timeout=0.3)

            with own.frozen():
                receipt = await send()
            assert attempts == 2, "the fault was not hit"
            assert receipt.duplicate
            assert [message.body for message in await ana.history("plan")] == ["1"]

    run(main)


@faces
def test_a_retry_wrapper_gives_up_at_once_on_a_send_without_an_id(
    face, own: Own, shop: str
) -> None:
    with face.open(shop, "ana", servers=own.url) as ana:
        ana.send("plan", "0")
        retrying = wrapper(tenacity.Retrying, own)
        with own.frozen(), pytest.raises(libchat.OutcomeUnknown):
            retrying(ana.send, "plan", "1", timeout=0.3)
        assert retrying.statistics["attempt_number"] == 1
        # Which was right: it is stored, and would have been twice.
        ana.send("plan", "2")
        assert bodies(ana) == ["0", "1", "2"]


@faces
def test_a_send_that_found_no_server_is_not_stored_later_and_may_be_tried_again(
    face, tmp_path: Path, shop: str
) -> None:
    with (
        libchat.local_server(tmp_path) as server,
        face.open(shop, "ana", servers=server.url) as ana,
    ):
        ana.send("plan", "0")
        server.stop()
        eventually(lambda: not ana.stats()["connected"])
        with pytest.raises((libchat.Timeout, libchat.Disconnected)) as caught:
            ana.send("plan", "lost", timeout=0.3)
        assert caught.value.retryable is True
        libchat.local_server(tmp_path)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_worth_it),
            stop=tenacity.stop_after_delay(PATIENCE),
        )
        retrying(ana.send, "plan", "1", timeout=1)
        assert bodies(ana) == ["0", "1"]


@faces
def test_a_retry_wrapper_around_open_waits_for_the_server(face, tmp_path: Path, shop: str) -> None:
    server = libchat.local_server(tmp_path)
    server.stop()

    def start(_: tenacity.RetryCallState) -> None:
        # A folder's server comes back where it was.
        assert libchat.local_server(tmp_path).url == server.url

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_worth_it),
        stop=tenacity.stop_after_attempt(3),
        before_sleep=start,
        reraise=True,
    )
    try:
        with retrying(face.open, shop, "ana", servers=server.url, timeout=2) as ana:
            ana.send("plan", "1")
        assert retrying.statistics["attempt_number"] == 2
    finally:
        server.stop()


@pytest.mark.parametrize(
    "call",
    [
        lambda ana: ana.send("", "x"),
        lambda ana: ana.send("plan", "x", expect_last="empty"),
        lambda ana: ana.send("plan", "x" * 2_000_000),
        lambda ana: ana.ask("ana", "fail"),
        lambda ana: ana.history("plan", start=libchat.Cursor("c1.1.1.0")),
    ],
    ids=["invalid", "conflict", "too large", "remote", "conflict of a cursor"],
)
def test_what_fails_again_is_not_tried_again(own: Own, shop: str, call: Any) -> None:
    def fail(request: libchat.Request) -> str:
        raise libchat.Remote("no", "never")

    with libchat.open(shop, "ana", servers=own.url) as ana, ana.answer(fail):
        ana.send("plan", "0")
        retrying = wrapper(tenacity.Retrying, own)
        with pytest.raises(libchat.Error):
            retrying(call, ana)
        assert retrying.statistics["attempt_number"] == 1
