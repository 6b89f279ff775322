"""What 3,000 messages lose to a reader whose waits are cancelled: nats-py and libchat.

usage: cancel.py URL

One line of JSON each. The messages are read one at a time, as an agent does that also listens to
something else, under the same timeouts and cancelled tasks drawn from the same seed.
"""

import asyncio
import contextlib
import json
import random
import sys
import uuid
from collections import Counter

import libchat
import nats

SENT = 3_000
SEED = 6
# Nothing more comes when this long nothing came.
QUIET = 2.0


def moment(rng):
    """How long to wait: often not at all, mostly less than a message needs."""
    return rng.choice((0, 1e-9, rng.random() * 1e-4, rng.random() * 1e-3, rng.random() * 5e-3))


async def read_under_cancels(step, send):
    """Reads while `send` sends, by `step`, of whose waits most are given up."""
    rng = random.Random(SEED)
    read = []

    async def take():
        read.append(await step())

    async def under_a_timeout():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(take(), moment(rng))

    async def as_a_task():
        task = asyncio.create_task(take())
        await asyncio.wait([task], timeout=moment(rng))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    sending = asyncio.create_task(send())
    while not sending.done():
        await rng.choice((under_a_timeout, as_a_task))()
    await sending
    with contextlib.suppress(TimeoutError):
        while len(set(read)) < SENT:
            await asyncio.wait_for(take(), QUIET)
    return read


def report(rival, read):
    counts = Counter(read)
    lost = sum(str(number) not in counts for number in range(SENT))
    twice = sum(count > 1 for count in counts.values())
    print(json.dumps({"rival": rival, "sent": SENT, "lost": lost, "twice": twice}), flush=True)


async def nats_py_under_cancels(url):
    """An ordered consumer, read by its `messages` iterator."""
    subject = f"cancel.{uuid.uuid4().hex}"
    connection = await nats.connect(url)
    js = connection.jetstream()
    await js.add_stream(name=subject.replace(".", "-"), subjects=[subject])
    subscription = await js.subscribe(subject, ordered_consumer=True)

    async def step():
        return (await anext(subscription.messages)).data.decode()

    async def send():
        for number in range(SENT):
            await js.publish(subject, str(number).encode())

    report("nats-py", await read_under_cancels(step, send))
    await js.delete_stream(subject.replace(".", "-"))
    await connection.close()


async def libchat_under_cancels(url):
    """A watch, read by its iterator."""
    async with (
        libchat.aio.open(f"cancel-{uuid.uuid4().hex}", "ana", servers=url) as ana,
        ana.watch("plan") as watch,
    ):

        async def step():
            return (await anext(watch)).body

        async def send():
            for number in range(SENT):
                await ana.send("plan", str(number))

        report("libchat", await read_under_cancels(step, send))


if __name__ == "__main__":
    asyncio.run(nats_py_under_cancels(sys.argv[1]))
    asyncio.run(libchat_under_cancels(sys.argv[1]))
