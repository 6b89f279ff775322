"""OpenTelemetry: who uses it finds the context at the other end, others do not notice."""

import asyncio
import queue
import subprocess
import sys
from typing import Any

import libchat
import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from test_aio import PATIENCE, faces, pair, run

TRACER = TracerProvider().get_tracer("tests")


def here() -> tuple[int, int]:
    """Trace and span of the current context."""
    current = trace.get_current_span().get_span_context()
    return current.trace_id, current.span_id


def text_of(span: trace.SpanContext) -> str:
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"


def traceparent() -> str:
    """The current context as a header's value."""
    return text_of(trace.get_current_span().get_span_context())


# A context does not cross threads: the asyncio tests make their calls in a task of their own.


def test_a_spans_context_travels_with_a_message(project: str) -> None:
    with libchat.open(project, "ana") as ana:
        with TRACER.start_as_current_span("send"):
            expected = traceparent()
            ana.send("plan", "1", headers={"lang": "en"})
        [message] = ana.history("plan")
    assert message.headers == {"lang": "en", "traceparent": expected}
    # Of a message the reader takes it when it likes.
    found = trace.get_current_span(propagate.extract(message.headers)).get_span_context()
    assert text_of(found) == expected


def test_a_spans_context_travels_with_a_message_of_a_task(project: str) -> None:
    async def main() -> None:
        async with libchat.aio.open(project, "ana") as ana:

            async def send(name: str) -> str:
                with TRACER.start_as_current_span(name):
                    await asyncio.sleep(0)
                    await ana.send("plan", traceparent())
                    return traceparent()

            sent = await asyncio.gather(*(send(str(n)) for n in range(10)))
            page = await ana.history("plan")
            assert [message.headers["traceparent"] for message in page] == sent
            assert [message.body for message in page] == sent

    run(main)


@faces
def test_without_a_span_nothing_is_added(face, project: str) -> None:
    with face.open(project, "ana") as ana:
        ana.send("plan", "1")
        assert ana.history("plan")[0].headers == {}


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", "TRACEPARENT"])
def test_a_traceparent_of_the_callers_own_wins(project: str, name: str) -> None:
    own = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"

    async def main() -> Any:
        async with libchat.aio.open(project, "ana") as ana:
            await ana.send("plan", "1", headers={name: own})

    with TRACER.start_as_current_span("send"):
        run(main)
        with libchat.open(project, "ana") as ana:
            ana.send("plan", "2", headers={name: own})
            page = ana.history("plan")
    assert [dict(message.headers) for message in page] == [{name: own}, {name: own}]


def test_the_callers_dict_of_headers_is_left_alone(project: str) -> None:
    headers = {"lang": "en"}
    with libchat.open(project, "ana") as ana, TRACER.start_as_current_span("send"):
        ana.send("plan", "1", headers=headers)
        ana.send("plan", "2", headers=headers)
    assert headers == {"lang": "en"}


def test_a_handler_runs_in_the_context_of_who_asks(project: str) -> None:
    seen: queue.Queue[Any] = queue.Queue()

    def handler(request: libchat.Request) -> str:
        seen.put((here(), baggage.get_baggage("user"), dict(request.headers)))
        with TRACER.start_as_current_span("inner"):
            return f"{here()[0]:032x}"

    with (
        libchat.open(project, "ana") as ana,
        libchat.open(project, "ben") as ben,
        ben.answer(handler),
        ben.respond(f"{project}.x", handler),
    ):
        for ask in (lambda: ana.ask("ben", "?"), lambda: ana.request(f"{project}.x", "?")):
            token = context.attach(baggage.set_baggage("user", "eva & co"))
            with TRACER.start_as_current_span("ask"):
                asked = here()
                assert ask().decode() == f"{asked[0]:032x}"
                expected = traceparent()
            context.detach(token)
            found, user, headers = seen.get(timeout=PATIENCE)
            assert (found, user, headers["traceparent"]) == (asked, "eva & co", expected)
        # What was attached for one request is gone at the next.
        ana.ask("ben", "?")
        assert seen.get(timeout=PATIENCE)[:2] == ((0, 0), None)


def test_a_coroutine_handler_runs_in_the_context_of_who_asks(project: str) -> None:
    async def main() -> None:
        async def handler(request: libchat.Request) -> str:
            before = traceparent()
            await asyncio.sleep(0.01)
            assert traceparent() == before
            return before

        async with pair(project) as (ana, ben), ben.answer(handler, concurrency=8):

            async def ask(name: str) -> bool:
                with TRACER.start_as_current_span(name):
                    return await ana.ask("ben", "?") == traceparent().encode()

            assert await asyncio.gather(*(ask(str(n)) for n in range(16))) == [True] * 16
            assert here() == (0, 0)

    run(main)


# Programs without it


def child(program: str) -> None:
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


USES = """
import asyncio, sys, libchat
with libchat.open({project!r}, "ana") as ana, ana.answer(lambda request: "ok"):
    ana.send("plan", "1", headers={{"traceparent": "x"}})
    assert ana.ask("ana", "?") == b"ok"
    assert dict(ana.history("plan")[0].headers) == {{"traceparent": "x"}}
async def main():
    async with libchat.aio.open({project!r}, "ben") as ben, ben.answer(lambda request: "ok"):
        await ben.send("plan", "1")
        assert await ben.ask("ben", "?") == b"ok"
asyncio.run(main())
"""


def test_a_program_that_does_not_use_it_does_not_load_it(project: str) -> None:
    child(
        USES.format(project=project)
        + "assert not [it for it in sys.modules if it.startswith('opentelemetry')]\n"
        "assert 'libchat._trace' not in sys.modules\n"
    )


HALVES = {
    # Any distribution of the namespace makes the package, without the API in it.
    "namespace": "sys.modules['opentelemetry'] = types.ModuleType('opentelemetry')",
    "only imported": "import opentelemetry",
    "only its context": "import opentelemetry.context",
}


@pytest.mark.parametrize("half", HALVES)
def test_half_of_it_is_no_fault_of_a_send(project: str, half: str) -> None:
    child(f"import sys, types\n{HALVES[half]}\n" + USES.format(project=project))
