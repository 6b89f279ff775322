"""Every verb of the asyncio face, with what it gives."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import assert_type

import libchat
from libchat import aio


async def price(request: libchat.Request) -> str:
    await asyncio.sleep(0)
    return f"7 {request.payload.decode()}"


def echo(request: libchat.Request) -> bytes:
    return request.payload


async def opening() -> None:
    async with aio.open() as chat:
        assert_type(chat, aio.Manager)
        assert_type(chat.project, str)
        assert_type(chat.agent, str)
    chat = await libchat.aio.open(
        "shop",
        "ana",
        servers="nats://a:4222",
        context="prod",
        creds=Path("ana.creds"),
        nkey="ana.nk",
        user="ana",
        password="secret",
        token="token",
        tls_ca="ca.pem",
        tls_cert=Path("ana.pem"),
        tls_key=Path("ana.key"),
        tls_first=True,
        js_domain="hub",
        inbox_prefix="_INBOX_ana",
        create=False,
        max_retention_age=0,
        max_subscribers=10,
        timeout=2,
    )
    assert_type(chat, aio.Manager)
    async with chat:
        pass


async def sending(chat: aio.Manager, message: libchat.Message) -> None:
    receipt = await chat.send(
        "plan",
        "hi",
        id="job-7",
        reply_to=message,
        headers={"lang": "en"},
        unordered=True,
        expect_last=message.cursor,
        timeout=dt.timedelta(seconds=3),
    )
    assert_type(receipt, libchat.Receipt)
    receipts = await asyncio.gather(*(chat.send(message, f"step {n}") for n in range(3)))
    assert_type(receipts, list[libchat.Receipt])
    async with asyncio.TaskGroup() as group:
        group.create_task(chat.send("plan", b"hi", expect_last="empty"))


async def watching(chat: aio.Manager, saved: str) -> None:
    async with chat.watch("plan") as watch:
        assert_type(watch, aio.Watch)
        async for message in watch:
            assert_type(message, libchat.Message)
        assert_type(await anext(watch), libchat.Message)
        assert_type(await watch.next(), libchat.Message | None)
        while following := await watch.next(timeout=0.5):
            print(following.body)
        assert_type(await asyncio.wait_for(watch.next(), 1), libchat.Message | None)
        event = await watch.next_event(dt.timedelta(seconds=1))
        assert_type(event, libchat.Event | None)
        async for event in watch.events():
            assert_type(event, libchat.Event)
        assert_type(watch.cursor, libchat.Cursor)
        assert_type(watch.gaps, int)
        assert_type(watch.fileno(), int)
        await watch.close()
    watch = await chat.watch("plan", start="all", skip_own=True)
    assert_type(watch, aio.Watch)
    await chat.watch_all(start=libchat.Cursor(saved))
    await chat.watch_all(start=dt.datetime.now(dt.UTC))
    await chat.watch_pattern("*", start=libchat.Last(10), skip_own=True)


async def reading(chat: aio.Manager) -> None:
    page = await chat.history("plan", start=libchat.Last(100), limit=10, max_bytes=10_000)
    assert_type(page, libchat.History)
    while page.truncated:
        page = await chat.history("plan", start=page.next)
    threads = await chat.list_threads(timeout=3)
    assert_type(threads, list[libchat.ThreadSummary])
    assert_type(await chat.threads_for_agent("ben", 5, timeout=3), list[libchat.ThreadSummary])
    for thread in threads:
        await chat.send(thread, thread.last_body)


async def asking(chat: aio.Manager) -> None:
    assert_type(await chat.request("shop.price", b"\xff", timeout=1), bytes)
    assert_type(await chat.ask("ben", "are you there?", timeout=1), bytes)
    async with chat.respond("shop.price", price, concurrency=4, queue_group="sellers") as responder:
        assert_type(responder, aio.Responder)
        await responder.wait(timeout=1)
    async with chat.answer(echo, concurrency=2):
        pass
    responder = await chat.answer(lambda request: request.subject)
    await responder.close()


async def counting(chat: aio.Manager) -> None:
    assert_type(chat.stats(), Mapping[str, int])
    await chat.close()
