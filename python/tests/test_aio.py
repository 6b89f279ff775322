"""What asyncio alone has: openings, cancellation, tasks, one descriptor.

The verbs themselves are tested once for both faces, in the files that are named after them:
`@faces` hands such a test `libchat`, and `libchat.aio` behind a thread that makes it block.
"""

import asyncio
import contextlib
import functools
import gc
import inspect
import os
import random
import select
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import libchat
import pytest

# No test waits longer for anything.
PATIENCE = 30


@functools.cache
def loop_thread() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="loop", daemon=True).start()
    return loop


def drive(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Calls `function` in the event loop, and waits for what is to be awaited."""

    async def call() -> Any:
        result = function(*args, **options)
        return await result if inspect.isawaitable(result) else result

    result = asyncio.run_coroutine_threadsafe(call(), loop_thread()).result(2 * PATIENCE)
    return Driven(result) if type(result).__module__ == "libchat.aio" else result


class Driven:
    """An object of libchat.aio, to be used as its blocking counterpart is."""

    def __init__(self, it: Any) -> None:
        self._it = it

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._it, name)
        return functools.partial(drive, found) if callable(found) else found

    def __iter__(self) -> Iterator[Any]:
        return drive(self._it.__aiter__)

    def __next__(self) -> Any:
        try:
            return drive(self._it.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None

    def __enter__(self) -> Any:
        return drive(self._it.__aenter__)

    def __exit__(self, *exc_info: Any) -> None:
        drive(self._it.__aexit__, *exc_info)


class Asyncio:
    """`libchat.aio`, made to block."""

    @staticmethod
    def open(*args: Any, **options: Any) -> Any:
        return drive(libchat.aio.open, *args, **options)


faces = pytest.mark.parametrize("face", [libchat, Asyncio], ids=["libchat", "libchat.aio"])


def eventually(holds: Callable[[], bool]) -> None:
    """Waits until something has come about that nothing tells of."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it has not come about"
        time.sleep(0.01)


def run(main: Callable[..., Any], *args: Any) -> Any:
    """Runs an asyncio test, and fails instead of hanging."""

    async def bounded() -> Any:
        async with asyncio.timeout(2 * PATIENCE):
            return await main(*args)

    return asyncio.run(bounded())


@contextlib.asynccontextmanager
async def pair(project: str) -> AsyncIterator[tuple[Any, Any]]:
    async with (
        libchat.aio.open(project, "ana") as ana,
        libchat.aio.open(project, "ben") as ben,
    ):
        yield ana, ben


async def send_numbers(chat: Any, numbers: range) -> None:
    await asyncio.gather(*(chat.send("plan", str(n)) for n in numbers))


# Openings


def test_an_opening_is_awaited_or_entered_and_closes_what_it_entered(project: str) -> None:
    async def main() -> None:
        chat = await libchat.aio.open(project, "ana")
        watch = await chat.watch("plan")
        async with chat.watch("plan") as entered:
            assert isinstance(entered, libchat.aio.Watch)
        with pytest.raises(libchat.Closed):
            await entered.next()
        assert await watch.next(timeout=0) is None
        async with chat:
            pass
        with pytest.raises(libchat.Closed):
            await watch.next()

    run(main)


def test_an_opening_goes_where_any_awaitable_goes(project: str) -> None:
    async def main() -> None:
        chat = await asyncio.wait_for(libchat.aio.open(project, "ana"), PATIENCE)
        watches = await asyncio.gather(chat.watch("a"), chat.watch("b"), chat.watch_all())
        await chat.send("b", "hi")
        assert (await watches[1].next(PATIENCE)).body == "hi"
        assert (await watches[2].next(PATIENCE)).body == "hi"
        assert await watches[0].next(0) is None
        await chat.close()

    run(main)


def test_an_opening_is_no_iterator(project: str) -> None:
    async def main() -> None:
        async with libchat.aio.open(project, "ana") as chat:
            with pytest.raises(TypeError, match="'async for' requires an object with __aiter__"):
                async for _ in chat.watch("plan"):
                    pass

    run(main)


def test_nothing_is_opened_before_the_opening_is_awaited(project: str) -> None:
    async def main() -> None:
        async with libchat.aio.open(project, "ana") as chat:
            opening = chat.watch("plan")
            await chat.send("plan", "before")
            assert len(await chat.history("plan")) == 1
            assert chat.stats()["watches"] == 0
            async with opening as watch:
                assert chat.stats()["watches"] == 1
                await chat.send("plan", "after")
                assert (await watch.next(PATIENCE)).body == "after"

    run(main)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        ("Manager", "a Manager is made by libchat.aio.open()"),
        ("Watch", "a Watch is made by a Manager's watch, watch_all or watch_pattern"),
        ("Responder", "a Responder is made by a Manager's respond or answer"),
    ],
)
def test_no_class_is_made_by_hand(made: str, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        getattr(libchat.aio, made)()
    assert str(caught.value) == text


# Loops and descriptors


def test_a_manager_belongs_to_the_loop_that_opened_it(project: str) -> None:
    chat = run(libchat.aio.open, project, "ana")
    with pytest.raises(libchat.InvalidState) as caught:
        run(chat.send, "plan", "hi")
    assert str(caught.value) == "this manager was opened in another event loop"
    assert caught.value.hint == "open one in each event loop"
    assert caught.value.code == "invalid_state"


def test_a_loop_may_end_with_everything_open(project: str) -> None:
    program = f"""
import asyncio, libchat
async def main():
    chat = await libchat.aio.open({project!r}, "ana")
    watch = await chat.watch("plan")
    responder = await chat.answer(lambda request: "hi")
    waiting = asyncio.ensure_future(watch.next())
    await chat.send("other", "hi")
for _ in range(3):
    asyncio.run(main())
"""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")
def test_two_hundred_watches_share_one_descriptor(project: str) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def main() -> None:
        async with libchat.aio.open(project, "ana") as chat, chat.watch("0"):
            before, threads = descriptors(), threading.active_count()
            watches = [await chat.watch(str(n)) for n in range(200)]
            steps = [asyncio.ensure_future(watch.next()) for watch in watches]
            await asyncio.sleep(0)
            # Other tests' descriptors may go meanwhile, none comes.
            assert descriptors() <= before
            assert threading.active_count() <= threads
            for n in range(200):
                await chat.send(str(n), f"to {n}", unordered=True)
            got = [message.body for message in await asyncio.gather(*steps)]
            assert got == [f"to {n}" for n in range(200)]

    run(main)


def test_what_nobody_uses_any_more_is_collected_and_closed(project: str) -> None:
    async def main() -> None:
        async with libchat.aio.open(project, "ben") as ben:
            ana = await libchat.aio.open(project, "ana")
            responder = await ana.respond(f"{project}.here", lambda request: "yes")
            assert await ben.request(f"{project}.here") == b"yes"
            await responder.close()
            watch = await ana.watch("plan")
            gone = [weakref.ref(ana), weakref.ref(watch)]
            del ana, watch, responder
            gc.collect()
            async with asyncio.timeout(PATIENCE):
                while any(it() is not None for it in gone):
                    await asyncio.sleep(0.01)
                    gc.collect()

    run(main)


# Iteration


def test_other_tasks_have_their_turn_among_ten_thousand_messages(project: str) -> None:
    async def main() -> None:
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        async with libchat.aio.open(project, "ana") as chat:
            sends = (chat.send("plan", str(n), unordered=True) for n in range(10_000))
            await asyncio.gather(*sends)
            counting = asyncio.create_task(count_turns())
            in_a_row = {}
            async with chat.watch("plan", start="all") as watch:
                async for message in watch:
                    in_a_row[turns] = in_a_row.get(turns, 0) + 1
                    if message.cursor.seq == 10_000:
                        break
            counting.cancel()
            assert max(in_a_row.values()) <= 256

    run(main)


@pytest.mark.parametrize("step", ["next", "next_event"])
def test_a_step_that_may_not_wait_says_none_only_if_nothing_is_there(
    project: str, step: str
) -> None:
    async def main() -> None:
        async with libchat.aio.open(project, "ana") as chat:
            await asyncio.gather(*(chat.send("plan", str(n), unordered=True) for n in range(600)))
            async with chat.watch("plan", start="all") as watch:
                for seq in range(1, 601):
                    select.select([watch], [], [], PATIENCE)
                    message = await getattr(watch, step)(timeout=0)
                    assert message is not None, f"message {seq} was there"
                    assert message.cursor.seq == seq

    run(main)


def test_tasks_that_read_one_watch_share_its_messages(project: str) -> None:
    async def main() -> None:
        async with libchat.aio.open(project, "ana") as chat, chat.watch("plan") as watch:
            read: asyncio.Queue[str] = asyncio.Queue()

            async def reading() -> None:
                async for message in watch:
                    read.put_nowait(message.body)

            readers = [asyncio.create_task(reading()) for _ in range(3)]
            await send_numbers(chat, range(300))
            got = [await read.get() for _ in range(300)]
            await watch.close()
            await asyncio.gather(*readers)
            assert sorted(got, key=int) == [str(n) for n in range(300)]
            assert read.empty()

    run(main)


# Cancellation


def test_steps_that_are_cancelled_or_time_out_lose_nothing_and_repeat_nothing(
    project: str,
) -> None:
    async def main() -> None:
        dice = random.Random(6)
        got: list[str] = []
        given_up = 0
        async with pair(project) as (ana, ben), ben.watch("plan") as watch:

            async def write() -> None:
                for n in range(1500):
                    await ana.send("plan", str(n))

            writing = asyncio.create_task(write())
            while len(got) < 1500:
                limit = dice.choice([0, 0.0001, 0.0003, 0.001])
                match dice.randrange(3):
                    case 0:
                        message = await watch.next(limit)
                    case 1:
                        try:
                            message = await asyncio.wait_for(watch.next(), limit)
                        except TimeoutError:
                            message = None
                    case _:
                        step = asyncio.create_task(anext(watch))
                        await asyncio.sleep(limit)
                        step.cancel()
                        with contextlib.suppress(asyncio.CancelledError):
                            await step
                        message = None if step.cancelled() else step.result()
                if message is None:
                    given_up += 1
                else:
                    got.append(message.body)
            await writing
        assert got == [str(n) for n in range(1500)]
        assert given_up > 100, "the fault was not hit"

    run(main)


def test_a_cancelled_wait_for_a_message_leaves_the_watch_as_it_was(project: str) -> None:
    async def main() -> None:
        async with libchat.aio.open(project, "ana") as chat, chat.watch("plan") as watch:
            step = asyncio.create_task(watch.next())
            await asyncio.sleep(0)
            step.cancel()
            with pytest.raises(asyncio.CancelledError):
                await step
            await chat.send("plan", "hi")
            assert (await watch.next(PATIENCE)).body == "hi"

    run(main)


def test_a_timeout_around_a_step_is_the_callers_own(project: str) -> None:
    async def main() -> None:
        async with libchat.aio.open(project, "ana") as chat, chat.watch("plan") as watch:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.01):
                    await watch.next(timeout=PATIENCE)
            assert not isinstance(caught.value, libchat.Error)

    run(main)


def test_a_cancelled_send_under_an_id_can_be_repeated(project: str) -> None:
    async def main() -> None:
        async with libchat.aio.open(project, "ana") as chat:
            for n in range(50):
                sending = asyncio.create_task(chat.send("plan", str(n), id=f"job-{n}"))
                for _ in range(n % 4):
                    await asyncio.sleep(0)
                sending.cancel()
                await asyncio.wait([sending])
                await chat.send("plan", str(n), id=f"job-{n}")
            page = await chat.history("plan")
            assert [message.body for message in page] == [str(n) for n in range(50)]

    run(main)


def test_a_cancelled_request_ends_at_once(project: str) -> None:
    async def main() -> None:
        async with libchat.aio.open(project, "ana") as chat:
            asked = asyncio.Event()

            async def forget(request: libchat.Request) -> str:
                asked.set()
                await asyncio.sleep(PATIENCE)
                return "too late"

            async with chat.answer(forget):
                asking = asyncio.create_task(chat.ask("ana", "?"))
                await asked.wait()
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asyncio.wait_for(asking, 5)

    run(main)


# Many calls at once


def test_sends_of_many_tasks_are_stored_in_the_order_of_the_calls(project: str) -> None:
    async def main() -> None:
        async with libchat.aio.open(project, "ana") as chat:
            await send_numbers(chat, range(400))
            page = await chat.history("plan")
            assert [message.body for message in page] == [str(n) for n in range(400)]

    run(main)


def test_closing_the_manager_ends_what_waits_in_other_tasks(project: str) -> None:
    async def main() -> None:
        chat = await libchat.aio.open(project, "ana")
        watch = await chat.watch("plan")
        asked = asyncio.Event()

        async def never(request: libchat.Request) -> str:
            asked.set()
            await asyncio.Event().wait()
            return ""

        await chat.answer(never)
        responder = await chat.respond(f"{project}.unasked", never)
        waiting = [
            asyncio.create_task(watch.next()),
            asyncio.create_task(anext(watch)),
            asyncio.create_task(chat.ask("ana", "?")),
            asyncio.create_task(responder.wait()),
        ]
        await asked.wait()
        await chat.close()
        ends = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
        assert [type(end) for end in ends] == [libchat.Closed] * 4
        await chat.close()

    run(main)


# Handlers


def test_coroutine_handlers_run_side_by_side_up_to_the_concurrency(project: str) -> None:
    async def main() -> None:
        running = peak = 0
        full, go = asyncio.Event(), asyncio.Event()

        async def handler(request: libchat.Request) -> bytes:
            nonlocal running, peak
            running += 1
            peak = max(peak, running)
            if running == 4:
                full.set()
            await go.wait()
            running -= 1
            return request.payload

        async with pair(project) as (ana, ben), ben.answer(handler, concurrency=4):
            asking = [asyncio.create_task(ana.ask("ben", str(n))) for n in range(12)]
            await asyncio.wait_for(full.wait(), PATIENCE)
            go.set()
            assert await asyncio.gather(*asking) == [str(n).encode() for n in range(12)]
            assert peak == 4

    run(main)


def test_who_asks_more_than_waits_for_a_handler_hears_that_it_is_busy(project: str) -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def handler(request: libchat.Request) -> str:
            await go.wait()
            return "done"

        async with pair(project) as (ana, ben), ben.answer(handler):
            asking = [asyncio.create_task(ana.ask("ben", "?")) for _ in range(300)]
            await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            go.set()
            ends = await asyncio.gather(*asking, return_exceptions=True)
            busy = [end for end in ends if isinstance(end, libchat.Remote)]
            assert {error.remote_code for error in busy} == {"busy"}
            assert 300 - len(busy) == ends.count(b"done") >= 256

    run(main)


@pytest.mark.parametrize("kind", ["function", "coroutine function", "object", "partial"])
def test_a_handler_may_be_anything_to_call(project: str, kind: str) -> None:
    async def coroutine(request: libchat.Request) -> str:
        await asyncio.sleep(0)
        return request.payload.decode().upper()

    class Callee:
        async def __call__(self, request: libchat.Request) -> str:
            return await coroutine(request)

    handlers = {
        "function": lambda request: request.payload.upper(),
        "coroutine function": coroutine,
        "object": Callee(),
        "partial": functools.partial(coroutine),
    }

    async def main() -> None:
        async with libchat.aio.open(project, "ana") as chat, chat.answer(handlers[kind]):
            assert await chat.ask("ana", "hi", timeout=PATIENCE) == b"HI"

    run(main)


def test_a_handler_that_was_cancelled_from_within_is_a_failure_like_others(project: str) -> None:
    async def main() -> None:
        async def handler(request: libchat.Request) -> str:
            if request.payload == b"cancel":
                raise asyncio.CancelledError
            return "well"

        async with libchat.aio.open(project, "ana") as chat, chat.answer(handler):
            with pytest.raises(libchat.Remote) as caught:
                await chat.ask("ana", "cancel", timeout=PATIENCE)
            assert caught.value.remote_code == "handler_failed"
            assert await chat.ask("ana", "again", timeout=PATIENCE) == b"well"

    run(main)


def test_a_handler_may_use_the_manager_it_answers_for(project: str) -> None:
    async def main() -> None:
        async with libchat.aio.open(project, "ana") as chat:

            async def write_down(request: libchat.Request) -> str:
                receipt = await chat.send("log", request.payload)
                return receipt.id

            async with chat.answer(write_down):
                id = await chat.ask("ana", "remember", timeout=PATIENCE)
            page = await chat.history("log")
            assert [(it.id, it.body) for it in page] == [(id.decode(), "remember")]

    run(main)
