"""One measure of libchat, as one line of JSON.

usage: ours.py URL PROJECT MODE COUNT

for | next | async_for        seconds to read COUNT stored messages
send_many | send_unordered    seconds to send COUNT, 256 in flight, over 1,000 threads or in one
send_sync | send_aio          seconds of each of COUNT sends, one after the other
idle                          processor seconds and context switches of COUNT seconds in next()
store                         fills PROJECT up to COUNT messages in 100 threads
"""

import asyncio
import json
import resource
import sys
import time

import libchat

BODY = "x" * 300
IN_FLIGHT = 256


def check(message):
    assert message.sender
    assert len(message.body) == len(BODY)


def read_for(chat, count):
    with chat.watch_all(start="all") as watch:
        for message in watch:
            check(message)
            count -= 1
            if count == 0:
                break


def read_next(chat, count):
    with chat.watch_all(start="all") as watch:
        for _ in range(count):
            message = watch.next(60)
            check(message)


async def read_async_for(chat, count):
    async with chat.watch_all(start="all") as watch:
        async for message in watch:
            check(message)
            count -= 1
            if count == 0:
                break


async def send(chat, count, threads, unordered):
    numbers = iter(range(count))

    async def sender():
        for n in numbers:
            await chat.send(f"thread {n % threads}", BODY, unordered=unordered, timeout=60)

    await asyncio.gather(*(sender() for _ in range(IN_FLIGHT)))


async def store(chat, count):
    there = sum(thread.message_count for thread in await chat.list_threads(timeout=60))
    await send(chat, count - there, 100, True)


def send_sync(chat, count):
    for _ in range(count):
        begun = time.perf_counter()
        chat.send("one", BODY)
        yield time.perf_counter() - begun


async def send_aio(chat, count):
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        await chat.send("one", BODY)
        taken.append(time.perf_counter() - begun)
    return taken


def idle(chat, seconds):
    with chat.watch("idle") as watch:
        watch.next(0.5)
        before = resource.getrusage(resource.RUSAGE_SELF)
        watch.next(seconds)
        after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    switches = after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw
    return {"cpu": cpu, "switches": switches}


def blocking(url, project, mode, count):
    with libchat.open(project, "bench", servers=url) as chat:
        if mode == "idle":
            return idle(chat, count)
        if mode == "send_sync":
            return {"each": list(send_sync(chat, count))}
        begun = time.perf_counter()
        {"for": read_for, "next": read_next}[mode](chat, count)
        return {"seconds": time.perf_counter() - begun}


async def with_asyncio(url, project, mode, count):
    async with libchat.aio.open(project, "bench", servers=url) as chat:
        if mode == "send_aio":
            return {"each": await send_aio(chat, count)}
        calls = {
            "async_for": lambda: read_async_for(chat, count),
            "send_many": lambda: send(chat, count, 1000, False),
            "send_unordered": lambda: send(chat, count, 1, True),
            "store": lambda: store(chat, count),
        }
        begun = time.perf_counter()
        await calls[mode]()
        return {"seconds": time.perf_counter() - begun}


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    url, project, mode, count = sys.argv[1:]
    if mode in ("for", "next", "send_sync", "idle"):
        figures = blocking(url, project, mode, int(count))
    else:
        figures = asyncio.run(with_asyncio(url, project, mode, int(count)))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
