"""Looks on: prints who talks where, and sends somebody to the thread of whoever asks for help."""

import sys

import libchat


def steer(chat: libchat.Manager, call: libchat.Message, places: dict[str, str]) -> None:
    order = f"nobody is free, {call.sender}"
    for agent, thread in places.items():
        if thread != call.thread and agent not in ("", call.sender, chat.agent):
            order = f"{agent}, leave {thread}: {call.sender} needs you here"
    try:
        chat.send(call, order, reply_to=call)
        print(f"[{call.thread}] {chat.agent}: {order}", flush=True)
    except libchat.Error as error:  # no reason to look away
        print(f"supervisor: {error}", file=sys.stderr)


def main() -> None:
    places: dict[str, str] = {}
    with libchat.open("demo", "supervisor") as chat, chat.watch_all(skip_own=True) as watch:
        for thread in reversed(chat.list_threads()):
            print(f"[{thread.name}] {thread.message_count} messages so far", flush=True)
            places[thread.last_sender] = thread.name
        for message in watch:
            print(f"[{message.thread}] {message.sender}: {message.body}", flush=True)
            places[message.sender] = message.thread
            if message.body.startswith("help"):
                steer(chat, message, places)


if __name__ == "__main__":
    try:
        main()
    except libchat.Error as error:
        sys.exit(f"supervisor: {error}")
    except KeyboardInterrupt:
        pass
