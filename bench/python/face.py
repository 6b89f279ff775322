"""Measures libchat's Python face beside nats-py, and prints one line of JSON for each row.

Run it with a Python that has libchat and nats-py, and a server that has nothing else to do:

    face.py URL [--wheel WHEEL] [--rounds 5] [--table] [read send latency idle cancel import size]

A line has `what`, `ours`, `rival`, `theirs` (one figure for each round, rivals alternating), `unit`
("1/s", "s", "B" or "1") and `aim`, how the medians are to compare: {"least": ratio},
{"most": ratio}, {"over": difference} or {}. Without a rival there is neither `theirs` nor `aim`.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
STORED = 200_000
SENT = 20_000
ONE_BY_ONE = 2_000
IDLE_SECONDS = 5
IMPORTS = 30
STORE = f"{STORED:,} stored messages of 300 B"


def run(program, url, project, mode, count):
    """What ours.py or theirs.py measured, in a process of its own."""
    command = [sys.executable, HERE / program, url, project, mode, str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def alternate(rounds, measures):
    """One figure of each measure in every round."""
    figures = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            figures[name].append(measure())
    return figures


def row(what, ours, rival=None, theirs=None, *, unit, **aim):
    line = {"what": what, "ours": ours, "unit": unit}
    if rival is not None:
        line |= {"rival": rival, "theirs": theirs, "aim": aim}
    return line


def per_second(program, url, project, mode, count):
    return lambda: count / run(program, url, project, mode, count)["seconds"]


def read(url, options):
    run("ours.py", url, "read", "store", STORED)
    ours = {mode: ("ours.py", mode) for mode in ("for", "next", "async_for")}
    theirs = {f"nats-py {mode}": ("theirs.py", mode) for mode in ("async_for", "callback", "fetch")}
    measures = {
        name: per_second(program, url, "read", mode, STORED)
        for name, (program, mode) in (ours | theirs).items()
    }
    found = alternate(options.rounds, measures)
    iterator = "nats-py `async for`, ordered consumer"
    for mode, name in (("for", "`for`"), ("next", "`next()`"), ("async_for", "`async for`")):
        what = f"Python {name} reads {STORE}"
        rival = found["nats-py async_for"]
        yield row(what, found[mode], iterator, rival, unit="1/s", least=3)
    for mode, name in (("callback", "callback, ordered consumer"), ("fetch", "`fetch(1000)`")):
        what, rival = "Python `async for` reads the same", found[f"nats-py {mode}"]
        yield row(what, found["async_for"], f"nats-py {name}", rival, unit="1/s", least=1)


def send(url, options):
    ways = (
        ("send_many", "1,000 threads", "1,000 subjects"),
        ("send_unordered", "one thread, unordered", "one subject"),
    )
    for mode, ours, theirs in ways:
        measures = {
            program: per_second(program, url, "send", mode, SENT)
            for program in ("ours.py", "theirs.py")
        }
        found = alternate(options.rounds, measures)
        what = f"Python sends with 256 in flight, {ours}, 300 B"
        rival = f"nats-py `js.publish`, the same JSON and id, {theirs}"
        yield row(what, found["ours.py"], rival, found["theirs.py"], unit="1/s", least=1)


def latency(url, options):
    def median(program, mode):
        return lambda: statistics.median(run(program, url, "send", mode, ONE_BY_ONE)["each"])

    measures = {
        "send": median("ours.py", "send_sync"),
        "await send": median("ours.py", "send_aio"),
        "theirs": median("theirs.py", "send_aio"),
    }
    found = alternate(options.rounds, measures)
    for name in ("send", "await send"):
        what, rival = f"Python `{name}`, one at a time, p50", "nats-py `js.publish`"
        yield row(what, found[name], rival, found["theirs"], unit="s", most=1.05)


def idle(url, options):
    figures = {
        program: run(program, url, "idle", "idle", IDLE_SECONDS)
        for program in ("ours.py", "theirs.py")
    }
    for key, name, unit in (("cpu", "processor time", "s"), ("switches", "context switches", "1")):
        ours, theirs = ([figures[program][key]] for program in ("ours.py", "theirs.py"))
        what, rival = f"Python `next()` waits {IDLE_SECONDS} s: {name}", "nats-py `next_msg()`"
        # There is no aim but to be next to nothing.
        yield row(what, ours, rival, theirs, unit=unit)


def cancel(url, options):
    done = subprocess.run(
        [sys.executable, HERE / "cancel.py", url], stdout=subprocess.PIPE, check=True
    )
    theirs, ours = (json.loads(line) for line in done.stdout.splitlines())
    for what, key in (("lost", "lost"), ("read twice", "twice")):
        what = f"Python: of {ours['sent']:,} messages, read by waits that are cancelled, {what}"
        yield row(what, [ours[key]], "nats-py's iterator", [theirs[key]], unit="1")


def imports(url, options):
    def started(code):
        def measure():
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            return time.perf_counter() - begun

        return measure

    codes = ("pass", "import libchat", "import asyncio", "import libchat.aio", "import nats")
    found = alternate(IMPORTS, {code: started(code) for code in codes})
    for ours, theirs, aim in (
        ("import libchat", "pass", {"over": 0.010}),
        ("import libchat.aio", "import asyncio", {"over": 0.010}),
        ("import libchat.aio", "import nats", {"most": 1}),
    ):
        what, rival = f"`python -c '{ours}'`", f"`python -c '{theirs}'`"
        yield row(what, found[ours], rival, found[theirs], unit="s", **aim)


def size(url, options):
    if options.wheel:
        yield row("Python wheel", [os.path.getsize(options.wheel)], unit="B")
    files = importlib.metadata.files("libchat")
    installed = sum(os.path.getsize(file.locate()) for file in files)
    yield row("Python package, installed", [installed], unit="B")


ROWS = {
    "read": read,
    "send": send,
    "latency": latency,
    "idle": idle,
    "cancel": cancel,
    "import": imports,
    "size": size,
}


def shown(figure, unit):
    match unit:
        case "1/s":
            return f"{figure / 1e3:.1f} k/s"
        case "s" if figure < 1e-3:
            return f"{figure * 1e6:.0f} µs"
        case "s":
            return f"{figure * 1e3:.1f} ms"
        case "B":
            return f"{figure / 1e6:.1f} MB"
    return f"{figure:g}"


def table_line(line):
    """A row of the table in bench/README.md."""
    ours = statistics.median(line["ours"])
    if "theirs" not in line:
        return f"| {line['what']} | {shown(ours, line['unit'])} | | | | |"
    theirs = statistics.median(line["theirs"])
    ratio, aim = f"{ours / theirs:.2f}" if theirs else "", ""
    match line["aim"]:
        case {"least": least}:
            aim = f"{least:.2f}"
        case {"most": most}:
            aim = f"≤ {most:.2f}"
        case {"over": over}:
            ratio, aim = f"{(ours - theirs) * 1e3:+.1f} ms", f"≤ {over * 1e3:+.0f} ms"
    ours, theirs = (shown(figure, line["unit"]) for figure in (ours, theirs))
    return f"| {line['what']} | {ours} | {line['rival']} | {theirs} | {ratio} | {aim} |"


def main():
    how = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=how)
    parser.add_argument("url")
    parser.add_argument("rows", nargs="*", default=list(ROWS))
    parser.add_argument("--wheel")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_intermixed_args()
    for name in options.rows:
        for line in ROWS[name](options.url, options):
            text = table_line(line) if options.table else json.dumps(line, ensure_ascii=False)
            print(text, flush=True)


if __name__ == "__main__":
    main()
