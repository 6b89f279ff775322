"""One process asks, another answers: at once, or not at all. Nothing of it is stored."""

import multiprocessing
import sys
from multiprocessing.synchronize import Event

import libchat


def price(request: libchat.Request) -> str:
    if request.payload != b"Rome":
        raise libchat.Remote("no_such_city", "I know Rome only")
    return "7 EUR"


def ben(url: str, is_there: Event) -> None:
    with libchat.open("demo", "ben", servers=url) as chat, chat.answer(price) as answering:
        is_there.set()
        answering.wait()


def main() -> None:
    spawn = multiprocessing.get_context("spawn")  # the child of a fork cannot use libchat
    is_there = spawn.Event()
    with libchat.local_server() as server, libchat.open("demo", "ana", servers=server.url) as ana:
        spawn.Process(target=ben, args=(server.url, is_there), daemon=True).start()
        is_there.wait(timeout=30)
        for agent, city in [("ben", "Rome"), ("ben", "Oslo"), ("carl", "Rome")]:
            try:
                print(f"{agent}: {ana.ask(agent, city, timeout=5).decode()}")
            except (libchat.NoResponders, libchat.Remote) as error:
                print(f"{agent}: {error.code}: {error}")


if __name__ == "__main__":
    try:
        main()
    except libchat.Error as error:
        sys.exit(f"ask: {error}")
