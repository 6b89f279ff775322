"""The same measures of nats-py, which reads and writes the same JSON in the same streams.

usage: theirs.py URL PROJECT MODE COUNT

async_for | callback | fetch  seconds to read COUNT stored messages: two with an ordered consumer,
                              one with batches of 1,000 of a pull consumer
send_many | send_unordered    seconds to send COUNT, 256 in flight, over 1,000 threads or in one
send_aio                      seconds of each of COUNT sends, one after the other
idle                          processor seconds and context switches of COUNT seconds of waiting
"""

import asyncio
import contextlib
import datetime as dt
import hashlib
import json
import resource
import sys
import time
import uuid

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

BODY = "x" * 300
IN_FLIGHT = 256
BATCH = 1000


def check(message):
    envelope = json.loads(message.data)
    assert envelope["from"]
    assert len(envelope["body"]) == len(BODY)


async def read_async_for(js, project, count):
    sub = await js.subscribe(f"chat.{project}.>", ordered_consumer=True)
    async for message in sub.messages:
        check(message)
        count -= 1
        if count == 0:
            break
    await sub.unsubscribe()


async def read_callback(js, project, count):
    done = asyncio.get_running_loop().create_future()

    async def on_message(message):
        nonlocal count
        check(message)
        count -= 1
        if count == 0:
            done.set_result(None)

    sub = await js.subscribe(f"chat.{project}.>", cb=on_message, ordered_consumer=True)
    await done
    await sub.unsubscribe()


async def read_fetch(js, project, count):
    config = ConsumerConfig(ack_policy=AckPolicy.NONE)
    sub = await js.pull_subscribe(f"chat.{project}.>", config=config)
    while count > 0:
        batch = await sub.fetch(min(BATCH, count), timeout=60)
        for message in batch:
            check(message)
        count -= len(batch)
    await sub.unsubscribe()


class Sender:
    def __init__(self, js, project):
        self._js = js
        self._project = project
        self._shorts = {}

    def short(self, thread):
        if thread not in self._shorts:
            digest = hashlib.sha256(f"{self._project}:{thread}".encode())
            self._shorts[thread] = digest.hexdigest()[:8]
        return self._shorts[thread]

    async def send(self, thread):
        short, id = self.short(thread), uuid.uuid4().hex
        envelope = {
            "id": id,
            "from": "bench",
            "thread": short,
            "body": BODY,
            "timestamp": dt.datetime.now(dt.UTC).isoformat(),
            "thread_name": thread,
        }
        payload = json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()
        subject = f"chat.{self._project}.{short}"
        await self._js.publish(subject, payload, timeout=60, headers={"Nats-Msg-Id": id})


async def send(js, project, count, threads):
    sender, numbers = Sender(js, project), iter(range(count))

    async def run():
        for n in numbers:
            await sender.send(f"thread {n % threads}")

    await asyncio.gather(*(run() for _ in range(IN_FLIGHT)))


async def send_aio(js, project, count):
    sender, taken = Sender(js, project), []
    for _ in range(count):
        begun = time.perf_counter()
        await sender.send("one")
        taken.append(time.perf_counter() - begun)
    return taken


async def idle(js, project, seconds):
    new = DeliverPolicy.NEW
    sub = await js.subscribe(f"chat.{project}.>", ordered_consumer=True, deliver_policy=new)
    await asyncio.sleep(0.5)
    before = resource.getrusage(resource.RUSAGE_SELF)
    with contextlib.suppress(nats.errors.TimeoutError):
        await sub.next_msg(timeout=seconds)
    after = resource.getrusage(resource.RUSAGE_SELF)
    await sub.unsubscribe()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    switches = after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw
    return {"cpu": cpu, "switches": switches}


async def measure(url, project, mode, count):
    client = await nats.connect(url)
    js = client.jetstream()
    try:
        if mode == "idle":
            return await idle(js, project, count)
        if mode == "send_aio":
            return {"each": await send_aio(js, project, count)}
        calls = {
            "async_for": lambda: read_async_for(js, project, count),
            "callback": lambda: read_callback(js, project, count),
            "fetch": lambda: read_fetch(js, project, count),
            "send_many": lambda: send(js, project, count, 1000),
            "send_unordered": lambda: send(js, project, count, 1),
        }
        begun = time.perf_counter()
        await calls[mode]()
        return {"seconds": time.perf_counter() - begun}
    finally:
        await client.close()


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    url, project, mode, count = sys.argv[1:]
    print(json.dumps(asyncio.run(measure(url, project, mode, int(count)))))


if __name__ == "__main__":
    main()
