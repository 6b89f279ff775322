"""Waits that are given up lose nothing: timeouts, cancelled tasks, threads that share a watch."""

import asyncio
import contextlib
import gc
import os
import random
import select
import sys
import threading
from collections import Counter

import libchat
import pytest
from children import DEADLINE, Held, until, until_async, wait_asleep
from conftest import figure

MESSAGES = 3_000
NUMBERED = [str(number) for number in range(MESSAGES)]
SEED = 6


@contextlib.contextmanager
def sending(project, bodies=(*NUMBERED, "end")):
    """Ben, who sends all the while in a thread of his own."""

    def send_all():
        with libchat.open(project, "ben") as ben:
            for body in bodies:
                ben.send("plan", body)

    thread = threading.Thread(target=send_all)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(DEADLINE)
        assert not thread.is_alive()


def moment(rng):
    """How long to wait: often not at all, mostly less than a message needs."""
    return rng.choice((0, 1e-9, rng.random() * 1e-4, rng.random() * 1e-3, rng.random() * 5e-3))


class Reader:
    """What one watch gave, step by step, to steps of which most are given up."""

    def __init__(self, watch, rng):
        self.watch = watch
        self.rng = rng
        self.bodies = []
        self.given_up = 0

    @property
    def is_done(self):
        return len(self.bodies) == MESSAGES

    def note(self, message):
        if message is None:
            self.given_up += 1
        elif isinstance(message, libchat.Message):
            self.bodies.append(message.body)

    async def cancel(self, reading):
        """Runs `reading` as a task and cancels it, at any point of its or the loop's turns."""
        task = asyncio.create_task(reading)
        for _ in range(self.rng.randrange(6)):
            await asyncio.sleep(0)
        if self.rng.random() < 0.5:
            await asyncio.wait([task], timeout=moment(self.rng))
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            self.given_up += 1


async def by_wait_for_of_anext(reader):
    try:
        reader.note(await asyncio.wait_for(anext(reader.watch), moment(reader.rng)))
    except TimeoutError:
        reader.given_up += 1


async def by_wait_for_of_next(reader):
    try:
        reader.note(await asyncio.wait_for(reader.watch.next(), moment(reader.rng)))
    except TimeoutError:
        reader.given_up += 1


async def by_next_with_a_timeout(reader):
    reader.note(await reader.watch.next(moment(reader.rng)))


async def by_next_event_with_a_timeout(reader):
    reader.note(await reader.watch.next_event(moment(reader.rng)))


async def by_timeout_around_anext(reader):
    try:
        async with asyncio.timeout(moment(reader.rng)):
            reader.note(await anext(reader.watch))
    except TimeoutError:
        reader.given_up += 1


async def by_anyio_around_anext(reader):
    anyio = pytest.importorskip("anyio")
    with anyio.move_on_after(moment(reader.rng)) as scope:
        reader.note(await anext(reader.watch))
    reader.given_up += scope.cancelled_caught


async def by_tasks_in_next(reader):
    async def read():
        reader.note(await reader.watch.next(moment(reader.rng)))

    await reader.cancel(read())


async def by_tasks_in_async_for(reader):
    async def read():
        async for message in reader.watch:
            reader.note(message)
            if reader.is_done:
                return

    await reader.cancel(read())


async def by_tasks_in_events(reader):
    async def read():
        async for event in reader.watch.events():
            reader.note(event)
            if reader.is_done:
                return

    await reader.cancel(read())


async def by_tasks_in_wait_for(reader):
    await reader.cancel(by_wait_for_of_anext(reader))


WAYS = (
    by_wait_for_of_anext,
    by_wait_for_of_next,
    by_next_with_a_timeout,
    by_next_event_with_a_timeout,
    by_timeout_around_anext,
    by_tasks_in_next,
    by_tasks_in_async_for,
    by_tasks_in_events,
    by_tasks_in_wait_for,
)


async def by_all_of_these(reader):
    await reader.rng.choice(WAYS)(reader)


async def read(project, step):
    async with (
        asyncio.timeout(DEADLINE),
        libchat.aio.open(project, "ana") as ana,
        ana.watch("plan") as watch,
    ):
        reader = Reader(watch, random.Random(SEED))
        with sending(project):
            while not reader.is_done:
                await step(reader)
        last = await watch.next(DEADLINE)
        reader.bodies.append(last.body)
        return reader


def check(reader):
    read = Counter(reader.bodies)
    lost = [body for body in NUMBERED if body not in read]
    twice = [body for body, count in read.items() if count > 1]
    assert (lost, twice) == ([], [])
    assert reader.bodies == [*NUMBERED, "end"]
    # Else this was a test of nothing.
    assert reader.given_up > MESSAGES / 30, reader.given_up


@pytest.mark.parametrize("step", [*WAYS, by_all_of_these, by_anyio_around_anext])
def test_waits_given_up_lose_nothing_and_repeat_nothing(project, step):
    reader = asyncio.run(read(project, step))
    check(reader)
    figure(f"{step.__name__}: {reader.given_up} waits given up, 0 of {MESSAGES} lost, 0 twice")


def test_waits_given_up_in_uvloop_lose_nothing(project):
    uvloop = pytest.importorskip("uvloop")
    check(uvloop.run(read(project, by_all_of_these)))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.12 brought eager tasks")
def test_waits_given_up_by_eager_tasks_lose_nothing(project):
    async def eagerly():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        return await read(project, by_all_of_these)

    check(asyncio.run(eagerly()))


def test_threads_that_share_a_watch_and_give_up_lose_nothing(project):
    shares = [[] for _ in range(4)]
    given_up = Counter()
    is_over = threading.Event()

    def take(watch, number):
        rng = random.Random(SEED + number)
        while not is_over.is_set():
            message = watch.next(moment(rng))
            if message is None:
                given_up[number] += 1
            else:
                shares[number].append(int(message.body))

    with libchat.open(project, "ana") as ana, ana.watch("plan") as watch:
        takers = [threading.Thread(target=take, args=(watch, n)) for n in range(len(shares))]
        with sending(project, NUMBERED):
            for taker in takers:
                taker.start()
        until("all are read", lambda: sum(map(len, shares)) >= MESSAGES)
        is_over.set()
        for taker in takers:
            taker.join(DEADLINE)
        assert watch.next(0) is None
    assert sorted(number for share in shares for number in share) == list(range(MESSAGES))
    assert all(share == sorted(share) for share in shares), "one thread's are in order"
    assert min(given_up.values()) > 10, given_up


def test_next_without_waiting_gives_what_the_descriptor_shows(project, chat):
    def send_and_poll(watch, number):
        chat.send("plan", str(number))
        readable, _, _ = select.select([watch.fileno()], [], [], DEADLINE)
        assert readable

    async def by_aio():
        async with libchat.aio.open(project, "ben") as ben, ben.watch("plan") as watch:
            assert isinstance(await watch.next_event(DEADLINE), libchat.CaughtUp)
            for number in range(300):
                send_and_poll(watch, number)
                message = await watch.next(0)
                assert message is not None, f"number {number} is there"
                assert message.body == str(number)
            assert await watch.next(0) is None

    with chat.watch("plan") as watch:
        assert isinstance(watch.next_event(DEADLINE), libchat.CaughtUp)
        asyncio.run(by_aio())
        for number in range(300):
            assert watch.next(DEADLINE).body == str(number)
        for number in range(300):
            send_and_poll(watch, number)
            assert watch.next(0).body == str(number)
        assert watch.next(0) is None


async def waiting(*coroutines):
    """Tasks that have come as far as they get without the network, and a little further."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    done, _ = await asyncio.wait(tasks, timeout=0.05)
    assert not done, done
    return tasks


def run(main):
    async def within():
        async with asyncio.timeout(DEADLINE):
            await main()

    asyncio.run(within())


def test_two_tasks_that_await_one_watch_share_its_messages(project):
    async def main():
        async with libchat.aio.open(project, "ana") as ana, ana.watch("plan") as watch:
            first, second = await waiting(watch.next(), watch.next())
            await ana.send("plan", "one")
            done, _ = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
            assert [task.result().body for task in done] == ["one"]
            await ana.send("plan", "two")
            bodies = {(await first).body, (await second).body}
            assert bodies == {"one", "two"}
            # One of two that is cancelled takes nothing along.
            first, second = await waiting(watch.next(), watch.next())
            first.cancel()
            await ana.send("plan", "three")
            assert (await second).body == "three"
            assert first.cancelled()

    run(main)


def test_a_watch_that_is_closed_ends_iteration_and_fails_next(project):
    async def main():
        async with libchat.aio.open(project, "ana") as ana:
            watch = await ana.watch("plan")

            async def iterate(iterator):
                return [item async for item in iterator]

            tasks = await waiting(
                iterate(watch), iterate(watch.events()), watch.next(), watch.next(DEADLINE)
            )
            await watch.close()
            await watch.close()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert ends[:2] == [[], []]
            assert [type(end) for end in ends[2:]] == [libchat.Closed, libchat.Closed]

    run(main)


def test_whoever_waits_hears_that_the_manager_was_closed(project):
    async def main():
        async with libchat.aio.open(project, "ben") as ben:
            # Never answers.
            await ben.answer(lambda request: asyncio.get_running_loop().create_future())
            ana = await libchat.aio.open(project, "ana")
            watch = await ana.watch("plan")
            responder = await ana.answer(lambda request: b"")

            async def iterate():
                async for _ in watch:
                    pass

            tasks = await waiting(
                iterate(), watch.next(), watch.next_event(60), ana.ask("ben", "?"), responder.wait()
            )
            await ana.close()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(end) for end in ends] == [libchat.Closed] * len(tasks), ends

    run(main)


def test_threads_that_wait_hear_that_the_manager_was_closed(project):
    ends = []

    def wait(call):
        try:
            ends.append(call())
        except libchat.Error as error:
            ends.append(type(error))

    with libchat.open(project, "ben") as ben:
        is_over = threading.Event()
        ben.answer(lambda request: is_over.wait(DEADLINE) and b"")
        ana = libchat.open(project, "ana")
        watch, other = ana.watch("plan"), ana.watch("plan")
        responder = ana.answer(lambda request: b"")
        calls = (
            lambda: list(watch),
            watch.next,
            lambda: watch.next_event(60),
            lambda: ana.ask("ben", "?"),
            responder.wait,
            lambda: list(other),
        )
        waits = [threading.Thread(target=wait, args=(call,), daemon=True) for call in calls]
        for thread in waits:
            thread.start()
            wait_asleep(os.getpid(), thread.native_id, times=0)
        other.close()
        until("the closed watch has ended", lambda: ends)
        assert ends == [[]]
        ana.close()
        for thread in waits:
            thread.join(DEADLINE)
        is_over.set()
    assert ends[1:] == [libchat.Closed] * 5, ends


def test_cancelled_sends_harm_no_other_and_are_sent_again_under_their_ids(project):
    count = 500

    async def send(ana, number, rng, cancelled):
        id = f"id-{number}"
        task = asyncio.create_task(ana.send(f"t{number % 7}", str(number), id=id))
        if rng.random() < 0.7:
            await asyncio.wait([task], timeout=rng.random() * 1e-3)
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            cancelled.append(number)

    async def main():
        rng = random.Random(SEED)
        cancelled = []
        async with libchat.aio.open(project, "ana") as ana:
            await asyncio.gather(*(send(ana, number, rng, cancelled) for number in range(count)))
            again = [await ana.send(f"t{n % 7}", str(n), id=f"id-{n}") for n in cancelled]
            stored = [message for n in range(7) for message in await ana.history(f"t{n}")]
        assert sorted(int(message.body) for message in stored) == list(range(count))
        assert count / 10 < len(cancelled) < count
        kept = sum(receipt.duplicate for receipt in again)
        figure(f"{len(cancelled)} of {count} sends cancelled, of which {kept} were stored before")

    run(main)


def test_an_open_that_is_cancelled_leaves_nothing(project):
    async def main():
        rng = random.Random(SEED)

        async def open_and_close():
            async with libchat.aio.open(project, "ana") as ana, ana.watch("plan"):
                await ana.list_threads()

        async with libchat.aio.open(project, "ana") as ana, ana.watch("plan"):
            held = Held.now()
        cancelled = 0
        for _ in range(200):
            task = asyncio.create_task(open_and_close())
            await asyncio.wait([task], timeout=rng.random() * 0.01)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                cancelled += 1
        assert cancelled > 20
        del task
        await until_async("all is closed", held.covers_all)

    run(main)


def test_a_watch_or_responder_whose_opening_is_cancelled_is_gone(project):
    async def main():
        rng = random.Random(SEED)
        cancelled = 0
        async with libchat.aio.open(project, "ana") as ana:
            for number in range(400):
                opening = ana.watch(f"t{number}") if number % 2 else ana.answer(bytes)
                task = asyncio.create_task(opening.__aenter__())
                for _ in range(rng.randrange(6)):
                    await asyncio.sleep(0)
                if rng.random() < 0.7:
                    await asyncio.wait([task], timeout=rng.random() * 1e-3)
                task.cancel()
                try:
                    await (await task).close()
                except asyncio.CancelledError:
                    cancelled += 1
            assert 40 < cancelled < 400
            del task, opening
            gc.collect()
            await until_async("no watch is left", lambda: ana.stats()["watches"] == 0)
            with pytest.raises(libchat.NoResponders):
                await ana.ask("ana", "?")

    run(main)


def test_a_task_that_nobody_else_holds_goes_on_waiting(project):
    """As with sockets of asyncio: who waits for the network is held by the event loop."""
    bodies = []

    async def follow(is_there):
        async with libchat.aio.open(project, "ana") as ana, ana.watch("plan") as watch:
            async for event in watch.events():
                # From here on it waits for what comes.
                if isinstance(event, libchat.CaughtUp):
                    is_there.set()
                elif isinstance(event, libchat.Message):
                    bodies.append(event.body)

    async def main():
        is_there = asyncio.Event()
        asyncio.create_task(follow(is_there))  # noqa: RUF006
        await is_there.wait()
        del is_there
        gc.collect()
        async with libchat.aio.open(project, "ben") as ben:
            await ben.send("plan", "still there?")
        await until_async("it is read", lambda: bodies)

    run(main)
    assert bodies == ["still there?"]
