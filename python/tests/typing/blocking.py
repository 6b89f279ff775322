"""Every verb of the blocking face, with what it gives."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import assert_never, assert_type

import libchat


def price(request: libchat.Request) -> str:
    if request.payload == b"":
        raise libchat.Remote("no_currency", "which currency?")
    return f"7 {request.payload.decode()} {request.headers.get('lang')}"


def echo(request: libchat.Request) -> bytes:
    return request.payload


def show(event: libchat.Event) -> str:
    match event:
        case libchat.Message(sender=sender, body=body):
            return f"{sender}: {body}"
        case libchat.Gap(after, until):
            return f"gone: {after.seq + 1} to {until.seq}"
        case libchat.CaughtUp(cursor) | libchat.Reset(cursor) | libchat.Malformed(cursor):
            return str(cursor)
        case libchat.Stalled(reason):
            return reason
        case libchat.Resumed():
            return "resumed"
        case _:
            assert_never(event)


def opening() -> None:
    with libchat.open() as chat:
        assert_type(chat, libchat.Manager)
        assert_type(chat.project, str)
        assert_type(chat.agent, str)
    with libchat.open(
        "shop",
        "ana",
        servers=["nats://a:4222", "nats://b:4222"],
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
        max_retention_age=dt.timedelta(days=30),
        max_subscribers=10,
        timeout=2,
    ):
        pass
    with libchat.local_server() as server:
        assert_type(server, libchat.LocalServer)
        libchat.open("shop", "ana", servers=server.url).close()
    libchat.local_server(Path()).stop()


def sending(chat: libchat.Manager, message: libchat.Message) -> None:
    receipt = chat.send(
        "plan",
        b"hi",
        id="job-7",
        reply_to=message,
        headers={"lang": "en"},
        unordered=True,
        expect_last=message.cursor,
        timeout=dt.timedelta(seconds=3),
    )
    assert_type(receipt, libchat.Receipt)
    assert_type(receipt.cursor, libchat.Cursor | None)
    chat.send(message, "hi", reply_to=message.id, expect_last="empty", timeout=3)
    try:
        chat.send("plan", "hi")
    except libchat.OutcomeUnknown as error:
        assert_type(error.id, str)
        chat.send("plan", "hi", id=error.id)
    except libchat.Error as error:
        assert_type(error.code, str)
        assert_type(error.hint, str | None)
        assert_type(error.id, str | None)
        assert_type(error.server_code, int | None)
        if not error.retryable:
            raise


def watching(chat: libchat.Manager, saved: str) -> None:
    with chat.watch("plan") as watch:
        assert_type(watch, libchat.Watch)
        for message in watch:
            assert_type(message, libchat.Message)
        assert_type(next(watch), libchat.Message)
        assert_type(watch.next(), libchat.Message | None)
        while following := watch.next(timeout=0.5):
            print(following.body)
        event = watch.next_event(dt.timedelta(seconds=1))
        if event is not None:
            print(show(event))
        for event in watch.events():
            print(show(event))
        assert_type(watch.cursor, libchat.Cursor)
        assert_type(watch.gaps, int)
        assert_type(watch.fileno(), int)
        watch.close()
    chat.watch("plan", start="all", skip_own=True)
    chat.watch_all(start=libchat.Cursor(saved))
    chat.watch_all(start=dt.datetime.now(dt.UTC))
    chat.watch_pattern("*", start=libchat.Last(10), skip_own=True)


def reading(chat: libchat.Manager) -> None:
    page = chat.history("plan", start=libchat.Last(100), limit=10, max_bytes=10_000)
    assert_type(page, libchat.History)
    assert_type(page[0], libchat.Message)
    assert_type(len(page), int)
    for message in page[1:]:
        assert_type(message, libchat.Message)
    for message in reversed(page):
        assert_type(message, libchat.Message)
    while page.truncated:
        page = chat.history("plan", start=page.next)
    for gap in page.gaps:
        assert_type(gap, libchat.Gap)
    for thread in chat.list_threads(timeout=3) + chat.threads_for_agent("ben", 5, timeout=3):
        assert_type(thread, libchat.ThreadSummary)
        assert_type(thread.last_activity, dt.datetime | None)
        chat.watch(thread)
        chat.history(thread)
        chat.send(thread, thread.last_body)


def asking(chat: libchat.Manager) -> None:
    assert_type(chat.request("shop.price", b"\xff", timeout=1), bytes)
    assert_type(chat.request("shop.ping"), bytes)
    assert_type(chat.ask("ben", "are you there?", timeout=1), bytes)
    with chat.respond("shop.price", price, concurrency=4, queue_group="sellers") as responder:
        assert_type(responder, libchat.Responder)
        responder.wait(timeout=1)
    with chat.answer(echo, concurrency=2):
        pass
    chat.answer(lambda request: request.subject).close()


def counting(chat: libchat.Manager) -> None:
    assert_type(chat.stats(), Mapping[str, int])
    chat.close()


def made_by_hand() -> None:
    message = libchat.Message(
        id="job-7",
        sender="ben",
        thread="plan",
        short="46e7b33c",
        body="hi",
        reply_to=None,
        sent_at=dt.datetime.now(dt.UTC),
        time="2026-11-24T12:00:00Z",
        cursor="c1.18a3f.42.beef",
        headers={"lang": "en"},
    )
    assert_type(message.time, dt.datetime)
    assert_type(message.time_ns, int)
    print(libchat.Message(**message.to_dict()) == message, {message: message.reply_to})
    libchat.Receipt(id="job-7", cursor=message.cursor, duplicate=True).to_dict()
    libchat.Request("shop.price", "EUR", {"lang": "en"})
    libchat.ThreadSummary(name="plan", message_count=1)
    libchat.History([message], truncated=True, next=message.cursor, gaps=(), malformed=1)
    print(max(message.cursor, libchat.Cursor("c1.18a3f.43.0")) >= message.cursor)
