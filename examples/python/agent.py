"""An agent of the demo, in Python: agent.py NAME

It does what core/examples/demo/agent.rs does: follows every thread, says its lines, answers what it
is asked, and writes all of it down in its journal. Its input is the conversation: for each line id,
sender, thread, text, whom the sender asks before, what, and the answer, with tabs between; then an
empty line. It runs in the folder of the server.
"""

import json
import os
import signal
import sys
import threading
import time
from io import FileIO
from typing import NamedTuple

import libchat


class Line(NamedTuple):
    """A line of the conversation; "" for what is not there."""

    id: str
    sender: str
    thread: str
    text: str
    asks: str
    question: str
    answer: str


class Journal:
    """What an agent has heard and done, in all its processes."""

    def __init__(self, file: FileIO) -> None:
        self.heard = 0
        self.cursor: libchat.Cursor | None = None  # of the last message heard
        self._file = file
        file.seek(0)
        text = file.read()
        # What a kill left of a line is removed: its message comes again.
        whole = text[: text.rfind(b"\n") + 1]
        file.truncate(len(whole))
        for line in whole.splitlines():
            match json.loads(line):
                case {"saw": {"cursor": cursor}}:
                    self.heard += 1
                    self.cursor = libchat.Cursor(cursor)

    def note(self, what: object) -> None:
        self._file.write(json.dumps(what).encode() + b"\n")

    def take(self, event: libchat.Event) -> None:
        match event:
            case libchat.Message():
                fields = event.to_dict()
                keys = ("cursor", "id", "thread", "sender", "body")
                self.note({"saw": {key: fields[key] for key in keys}})
                self.heard += 1
            case libchat.CaughtUp():
                self.note("caught_up")
            case _:
                self.note({"odd": repr(event)})


def speak(chat: libchat.Manager, journal: Journal, line: Line) -> None:
    time.sleep(0.15)  # nobody types faster
    if line.asks:
        journal.note({"asked": ask(chat, line)})
    begin = time.monotonic()
    # Under an id of its own: if we are killed before we hear it, our next process says it again,
    # and the server drops the copy.
    chat.send(line.thread, line.text, id=line.id)
    journal.note({"said": {"took_ms": milliseconds(begin)}})


def ask(chat: libchat.Manager, line: Line) -> dict[str, object]:
    """Asks until the other one is as the conversation says: there to answer, or away."""
    while True:
        begin = time.monotonic()
        answer = None
        try:
            answer = chat.ask(line.asks, line.question, timeout=1).decode()
        except libchat.NoResponders:
            pass
        except libchat.Timeout:  # it was killed between hearing and answering
            continue
        if (answer is not None) == (line.answer != ""):
            took = milliseconds(begin)
            return {"to": line.asks, "text": line.question, "answer": answer, "took_ms": took}
        time.sleep(0.01)


def milliseconds(begin: float) -> float:
    return (time.monotonic() - begin) * 1000


def run(name: str, lines: list[Line], journal: Journal) -> None:
    journal.note({"started": {"after": str(journal.cursor) if journal.cursor else None}})
    answers = {line.question: line.answer for line in lines if line.asks == name and line.answer}

    def answer(request: libchat.Request) -> str:
        return answers.get(request.payload.decode(errors="replace"), "I am here")

    with libchat.open("demo", name) as chat, chat.answer(answer):
        events = chat.watch_all(start=journal.cursor or "all").events()
        is_caught_up, spoke_at = False, -1  # no line is said twice
        while journal.heard < len(lines):
            event = next(events)
            journal.take(event)
            is_caught_up |= isinstance(event, libchat.CaughtUp)
            is_mine = journal.heard < len(lines) and lines[journal.heard].sender == name
            if is_caught_up and is_mine and spoke_at != journal.heard:
                spoke_at = journal.heard
                speak(chat, journal, lines[journal.heard])
        journal.note({"ended": {"reconnects": chat.stats()["reconnects"]}})


def end_with_parent() -> None:
    """Our input ends when the process ends that started us."""
    while os.read(0, 4096):
        pass
    os._exit(1)


def main(name: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    lines = [Line(*line.strip("\n").split("\t")) for line in iter(sys.stdin.readline, "\n")]
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        with open(f"{name}.jsonl", "a+b", buffering=0) as file:
            run(name, lines, Journal(file))
    except libchat.Error as error:
        sys.exit(f"agent {name}: {error}")


if __name__ == "__main__":
    main(sys.argv[1])
