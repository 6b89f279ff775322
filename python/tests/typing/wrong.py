"""Mistakes that a type checker must find: those lines are marked, and no others are wrong."""

import libchat
from libchat import aio


async def ask_back(request: libchat.Request) -> str:
    return request.subject


def count(request: libchat.Request) -> int:
    return len(request.payload)


def opening() -> None:
    libchat.open("shop", "ana", server="nats://a:4222")  # error
    libchat.open("shop", "ana", 5.0)  # error
    libchat.open("shop", b"ana")  # error
    with aio.open("shop", "ana"):  # error
        pass


def sending(chat: libchat.Manager) -> None:
    chat.send("plan")  # error
    chat.send("plan", 7)  # error
    chat.send("plan", "hi", "job-7")  # error
    chat.send("plan", "hi", message_id="job-7")  # error
    chat.send("plan", "hi", headers=[("lang", "en")])  # error
    chat.send("plan", "hi", expect_last="none")  # error
    chat.send("plan", "hi", timeout=None)  # error
    chat.send("plan", "hi", timeout="10 s")  # error
    chat.watch("plan", start=chat.send("plan", "hi").cursor)  # error


def reading(chat: libchat.Manager, message: libchat.Message) -> None:
    with chat.watch("plan") as watch:
        print(watch.next(timeout=1).body)  # error
        print(watch.next_event().cursor)  # error
        for event in watch.events():
            print(event.body)  # error
    chat.watch("plan", start="newest")  # error
    chat.watch("plan", start=7)  # error
    chat.watch(7)  # error
    chat.watch_pattern()  # error
    chat.history("plan", start="new")  # error
    chat.threads_for_agent()  # error
    chat.threads("plan")  # error
    message.body = "hello"  # error
    print(message.text)  # error
    print(message.cursor < 7)  # error
    libchat.Message("job-7")  # error
    libchat.Gap(after=4, until=9)  # error


def asking(chat: libchat.Manager) -> None:
    chat.request("shop.price", 7)  # error
    chat.ask("ben", "hi", headers={})  # error
    print(chat.ask("ben", "hi") + "!")  # error
    chat.answer(lambda: "on it")  # error
    chat.answer(count)  # error
    chat.answer(ask_back)  # error
    chat.respond("shop.price", ask_back)  # error
    raise libchat.Remote("only_a_code")  # error


async def with_asyncio(chat: aio.Manager) -> None:
    async for _ in chat.watch("plan"):  # error
        break
    async for message in await chat.watch("plan"):
        print(message.body)
    for _ in await chat.watch("plan"):  # error
        break
    with chat.watch("plan"):  # error
        pass
    chat.watch("plan").close()  # error
    async with chat.watch("plan") as watch:
        print((await watch.next()).body)  # error
        print(watch.next().body)  # error
    print(chat.send("plan", "hi").id)  # error
    await chat.stats()  # error
    await chat.send("plan", "hi", message_id="job-7")  # error
    async with chat.answer(count):  # error
        pass
    async with chat.answer(ask_back):
        pass
