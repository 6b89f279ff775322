"""What runs for long grows in nothing: memory, descriptors, threads."""

import asyncio
import os

import libchat
import pytest
from children import DEADLINE, succeed
from conftest import figure, is_long

MESSAGES = 1_000_000 if is_long() else 20_000
CYCLES = 10_000 if is_long() else 200
PATIENCE = 900 if is_long() else DEADLINE

BEGIN = """
    import asyncio, sys
    import libchat
    sys.path.insert(0, sys.argv[3])
    from children import Held, memory

    project, count = sys.argv[1], int(sys.argv[2])
    # Ten samples; the first comes when all that is made once is there.
    every = count // 10

    def sample():
        print(memory(), *Held.now(), flush=True)
"""
READING = {
    "blocking": """
    with libchat.open(project, "ana") as ana, ana.watch("plan", start="all") as watch:
        for number, message in enumerate(watch, 1):
            assert len(message.body) == 200
            if number % every == 0:
                sample()
            if number == count:
                break
        assert watch.gaps == 0
    """,
    "asyncio": """
    async def main():
        async with libchat.aio.open(project, "ana") as ana, ana.watch("plan", start="all") as watch:
            for number in range(1, count + 1):
                message = await anext(watch)
                assert len(message.body) == 200
                if number % every == 0:
                    sample()
            assert watch.gaps == 0

    asyncio.run(main())
    """,
}
OPENING = {
    "blocking": """
    for number in range(1, count + 1):
        with libchat.open(project, "ana") as ana, ana.watch("plan") as watch:
            with ana.answer(lambda request: request.payload):
                assert ana.ask("ana", b"x") == b"x"
                ana.send("plan", "x")
                assert watch.next(30).body == "x"
        if number % every == 0:
            sample()
    """,
    "asyncio": """
    async def main():
        for number in range(1, count + 1):
            async with libchat.aio.open(project, "ana") as ana, ana.watch("plan") as watch:
                async with ana.answer(lambda request: request.payload):
                    assert await ana.ask("ana", b"x") == b"x"
                    await ana.send("plan", "x")
                    assert (await watch.next(30)).body == "x"
            if number % every == 0:
                sample()

    asyncio.run(main())
    """,
}


@pytest.fixture(scope="module")
def stored(server):
    """The project of as many messages in one thread."""
    project = f"p{os.getpid()}-memory"

    async def send(ben, count):
        for _ in range(count):
            await ben.send("plan", "x" * 200, unordered=True)

    async def send_all():
        async with libchat.aio.open(project, "ben") as ben:
            await asyncio.gather(*(send(ben, MESSAGES // 500) for _ in range(500)))

    asyncio.run(send_all())
    return project


def run(program, project, count):
    here = os.path.dirname(__file__)
    return succeed(BEGIN + program, project, str(count), here, deadline=PATIENCE)


def check(what, out):
    samples = [tuple(map(int, line.split())) for line in out.splitlines()]
    assert len(samples) == 10
    sizes, descriptors, threads = zip(*samples, strict=True)
    # A watch that catches up has one connection and a few tasks, on threads that were there.
    assert max(descriptors) - descriptors[0] <= 4
    assert max(threads) - threads[0] <= 2
    first, most = sizes[2] >> 10, max(sizes[2:]) >> 10
    figure(f"{what}: {first} KiB after three tenths, {most} KiB at most after that")
    if is_long():
        assert most - first < 4096, [size >> 10 for size in sizes]


@pytest.mark.parametrize("face", READING)
def test_a_watch_of_many_messages_grows_in_nothing(face, stored):
    out = run(READING[face], stored, MESSAGES)
    check(f"{MESSAGES:,} messages through a watch, {face}", out)


@pytest.mark.parametrize("face", OPENING)
def test_opening_and_closing_leaves_nothing(face, project):
    out = run(OPENING[face], project, CYCLES)
    check(f"{CYCLES:,} times opened and closed, {face}", out)
