"""An agent of the fault harness, in Python: agent.py send|watch|call NAME ARGS...

README.md, beside this, says what it is told and what it prints. It runs until its input ends. It
sends by asyncio, and does the rest by the blocking face.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import libchat
from libchat import aio

T = TypeVar("T")

PROJECT = "demo"
CALL_SECONDS = 5
# What is under way at the end of the input has so long to end by itself.
GRACE_SECONDS = 0.5
# A send whose outcome is unknown is repeated so often at most.
REPEATS_MAX = 5
FIGURES = "sent resent duplicates delivered gaps resets detaches reopens reconnects"

BEGUN = time.monotonic()


def say(*words: object) -> None:
    """Writes one line, whole and at once."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def since(begin: float) -> int:
    return int((time.monotonic() - begin) * 1000)


def code(error: libchat.Error) -> str:
    return "PANIC" if isinstance(error, libchat.Bug) else error.code.upper()


def say_stats(figures: Mapping[str, int]) -> None:
    say("stats", *(f"{key}={figures.get(key, 0)}" for key in FIGURES.split()))


def wait_for_end_of_input() -> None:
    sys.stdin.buffer.read()


class Sender:
    """send PREFIX THREADS COUNT PAUSE_MS SIZE REPEAT FIRST, by asyncio."""

    def __init__(self, name: str, prefix: str, *numbers: str) -> None:
        self.name, self.prefix = name, prefix
        self.threads, self.count, pause_ms, size, self.repeat, self.first = map(int, numbers)
        self.pause_seconds = pause_ms / 1000
        self.padding = " " + "x" * size if size else ""
        self.ended = asyncio.Event()

    async def run(self) -> None:
        end_of_input = asyncio.create_task(asyncio.to_thread(wait_for_end_of_input))
        opening = asyncio.create_task(self.open())
        await asyncio.wait((end_of_input, opening), return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():
            opening.cancel()
            say_stats({})
            return
        chat = opening.result()
        say("ready", since(BEGUN))
        names = (f"{self.prefix}{k}" for k in range(self.threads))
        flows = [asyncio.create_task(self.flow(chat, thread)) for thread in names]
        await end_of_input
        self.ended.set()
        await asyncio.wait(flows, timeout=GRACE_SECONDS)
        figures = chat.stats()
        await self.close(chat)
        await asyncio.gather(*flows)  # their sends have failed, if there were any
        say_stats(figures)

    async def open(self) -> aio.Manager:
        while True:
            begin = time.monotonic()
            try:
                return await aio.open(PROJECT, self.name)
            except libchat.Error as error:
                say("err open 0", code(error), since(begin))
            await asyncio.sleep(0.1)

    async def close(self, chat: aio.Manager) -> None:
        begin = time.monotonic()
        try:
            await chat.close()
        except libchat.Error as error:
            say("err close 0", code(error), since(begin))

    async def pause(self, seconds: float) -> None:
        """Waits so long, at most until the input ends."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), seconds)

    async def flow(self, chat: aio.Manager, thread: str) -> None:
        """Sends to one thread, one message after the other."""
        n = self.first
        while (not self.count or n < self.first + self.count) and not self.ended.is_set():
            await self.send(chat, thread, n)
            await self.pause(self.pause_seconds)
            n += 1

    async def send(self, chat: aio.Manager, thread: str, n: int) -> None:
        """Sends one, again under the same id while nobody knows whether it is stored."""
        result = await self.send_once(chat, thread, n)
        for _ in range(REPEATS_MAX if self.repeat else 0):
            if result != "OUTCOME_UNKNOWN" or self.ended.is_set():
                break
            result = await self.send_once(chat, thread, n)
        if result != "OK":
            await self.pause(0.1)

    async def send_once(self, chat: aio.Manager, thread: str, n: int) -> str:
        say("try", thread, n)
        begin = time.monotonic()
        try:
            receipt = await chat.send(thread, f"{n}{self.padding}", id=f"{self.name}-{thread}-{n}")
        except libchat.Error as error:
            say("err", thread, n, code(error), since(begin))
            return code(error)
        seq = receipt.cursor.seq if receipt.cursor else 0
        say("ok", thread, n, seq, int(receipt.duplicate), since(begin))
        return "OK"


class Blocking:
    """An agent whose role has a thread that may block: the main one waits for the end of the input,
    and then closes what the other works with."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.chat: libchat.Manager | None = None
        self.ended = threading.Event()
        self.stop: Callable[[], None] = lambda: None  # what the role may wait in without end

    def run(self, role: Callable[..., None], *args: str) -> None:
        # The process does not wait for it: before there is a manager nothing can be closed.
        work = threading.Thread(target=self.work, args=(role, *args), daemon=True)
        work.start()
        wait_for_end_of_input()
        self.ended.set()
        self.stop()
        work.join(GRACE_SECONDS)
        figures = self.chat.stats() if self.chat else {}
        if self.chat:
            self.close(self.chat)
            work.join(1)
        say_stats(figures)

    def close(self, chat: libchat.Manager) -> None:
        begin = time.monotonic()
        try:
            chat.close()
        except libchat.Error as error:
            say("err close 0", code(error), since(begin))

    def work(self, role: Callable[..., None], *args: str) -> None:
        self.chat = self.until(lambda: libchat.open(PROJECT, self.name))
        if self.chat:
            role(self, self.chat, *args)

    def until(self, opened: Callable[[], T]) -> T | None:
        """Tries again until it works; None if the input ends before."""
        while not self.ended.is_set():
            begin = time.monotonic()
            try:
                return opened()
            except libchat.Error as error:
                say("err open 0", code(error), since(begin))
            self.ended.wait(0.1)
        return None


def watch(agent: Blocking, chat: libchat.Manager, thread: str, pause_ms: str, *more: str) -> None:
    """watch THREAD PAUSE_MS QUEUE START; a watch has no queue of a given length here."""
    _queue, start = more
    begin = libchat.Cursor(start) if start.startswith("c1.") else start
    told = agent.until(
        lambda: chat.watch_all(start=begin) if thread == "*" else chat.watch(thread, start=begin)
    )
    if not told:
        return
    agent.stop = told.close
    say("ready", since(BEGUN))
    try:
        for event in told.events():
            say(*words_of(event))
            if isinstance(event, libchat.Message):
                agent.ended.wait(int(pause_ms) / 1000)
            if agent.ended.is_set():
                return
        ended_by = "END"
    except libchat.Error as error:
        ended_by = code(error)
    if not agent.ended.is_set():
        say("over", ended_by)


def words_of(event: libchat.Event) -> tuple[object, ...]:
    match event:
        case libchat.Message(id=id, sender=sender, thread=thread, body=body, cursor=cursor):
            n = body.split(" ", 1)[0]
            return "got", thread or "-", n, sender, cursor.seq, cursor, id
        case libchat.Gap(after, until):
            return "gap", after.seq, until.seq
        case libchat.Malformed(cursor):
            return "malformed", cursor.seq
        case _:
            return (type(event).__name__.lower(),)


def call(agent: Blocking, chat: libchat.Manager, verb: str, pause_ms: str) -> None:
    """call VERB PAUSE_MS"""
    if verb == "request" and not agent.until(lambda: chat.respond(subject(chat), answer)):
        return
    say("ready", since(BEGUN))
    while not agent.ended.is_set():
        say("begin", verb)
        begin, count, result = time.monotonic(), 0, "OK"
        try:
            count = VERBS[verb](chat)
        except libchat.Error as error:
            result = code(error)
        say("did", verb, result, since(begin), count)
        agent.ended.wait(int(pause_ms) / 1000)


def call_open(chat: libchat.Manager) -> int:
    libchat.open(PROJECT, chat.agent, timeout=CALL_SECONDS).close()
    return 0


def call_list(chat: libchat.Manager) -> int:
    return sum(thread.message_count for thread in chat.list_threads(timeout=CALL_SECONDS))


def call_history(chat: libchat.Manager) -> int:
    page = chat.history("t0")
    count = len(page)
    while page.truncated:
        page = chat.history("t0", start=page.next)
        count += len(page)
    return count


def call_agent(chat: libchat.Manager) -> int:
    return len(chat.threads_for_agent("ben", 1000, timeout=CALL_SECONDS))


def subject(chat: libchat.Manager) -> str:
    return f"jobs.{chat.agent}"


def answer(request: libchat.Request) -> bytes:
    return request.payload


def call_request(chat: libchat.Manager) -> int:
    payload = f"job {time.monotonic_ns()}".encode()
    return int(chat.request(subject(chat), payload, timeout=CALL_SECONDS) == payload)


VERBS = {
    "open": call_open,
    "list": call_list,
    "history": call_history,
    "agent": call_agent,
    "request": call_request,
}


def main(role: str, name: str, *args: str) -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # nobody reads any more: end without a word
    match role, args:
        case "send", (_, _, _, _, _, _, _):
            asyncio.run(send(name, *args))
        case "watch", (_, _, _, _):
            Blocking(name).run(watch, *args)
        case "call", (verb, _) if verb in VERBS:
            Blocking(name).run(call, *args)
        case _:
            sys.exit("usage: agent.py send|watch|call NAME ARGS..., as README.md says")
    say("end")


async def send(name: str, *args: str) -> None:
    await Sender(name, *args).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
