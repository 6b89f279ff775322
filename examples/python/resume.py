"""Goes on after a kill -9: resume.py FILE. Each job in the thread "jobs" gets a line in "results".

FILE has the cursor of the last job done. A kill between storing a result and saving the cursor has
that job done again; its result goes under the same id, and the server drops the copy: stored once,
if we are back within the stream's duplicate window (2 minutes by default), else at least once.
"""

import asyncio
import sys
from pathlib import Path

import libchat


def save(cursor: libchat.Cursor, file: Path) -> None:
    """Replaces the file in one step. (To outlive a crash of the machine takes fsync, too.)"""
    new = file.with_suffix(".new")
    new.write_text(str(cursor))
    new.replace(file)


async def main(file: Path) -> None:
    start: libchat.Past = libchat.Cursor(file.read_text()) if file.exists() else "all"
    async with libchat.aio.open("demo", "ben") as chat, chat.watch("jobs", start=start) as jobs:
        async for event in jobs.events():
            if isinstance(event, libchat.Message):
                result = event.body.upper()
                await chat.send("results", result, id=f"result-{event.cursor}", reply_to=event)
                save(event.cursor, file)
            elif isinstance(event, libchat.Gap | libchat.Reset):
                print("resume: jobs may be missing:", event, file=sys.stderr)


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(sys.argv[1])))
    except libchat.Error as error:
        sys.exit(f"resume: {error}")
    except KeyboardInterrupt:
        pass
