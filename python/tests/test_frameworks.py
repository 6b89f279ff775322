"""Agents made with frameworks, those of examples/python among them, and the frameworks' retries.

Their models are the frameworks' own for tests, or a stub; nothing leaves this machine.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import libchat
import pytest
from children import DEADLINE, until
from conftest import is_long
from test_examples import EXAMPLES, check_types, serve_here  # noqa: F401

# Modules, and what the registry calls them.
PACKAGES = {
    "agents": "openai-agents",
    "langgraph": "langgraph",
    "pydantic_ai": "pydantic-ai-slim",
    "tenacity": "tenacity",
}
AGENTS = {
    "agents": "openai_agents.py",
    "langgraph": "langgraph_agent.py",
    "pydantic_ai": "pydantic_ai_agent.py",
}

# Runs a program that may not reach anybody. (libchat's own sockets are none of Python's.)
OFFLINE = """
import os, runpy, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        os.write(2, f"{event} {arguments}".encode())
        os._exit(3)

sys.addaudithook(refuse)
sys.path[0] = os.path.dirname(sys.argv[1])
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.fixture(autouse=True)
def _no_telemetry(monkeypatch):
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    for name in ("OPENAI_API_KEY", "LANGSMITH_API_KEY", "LOGFIRE_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def need(module):
    if importlib.util.find_spec(module) is None:
        package = PACKAGES[module]
        missing = f"{package} is not installed: {sys.executable} -m pip install {package}"
        pytest.fail(missing) if is_long() else pytest.skip(missing)


def run(example):
    command = [sys.executable, "-B", "-c", OFFLINE, EXAMPLES / example]
    # Importing a framework alone takes seconds, on a busy machine a lot of them.
    patience = 4 * DEADLINE
    done = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("module", AGENTS)
def test_an_agent_reads_asks_and_sends(module, own_server):
    need(module)
    asked = []

    def price(request):
        asked.append(request.payload.decode())
        return "7 EUR"

    with (
        libchat.open("shop", "ben", servers=own_server.url) as ben,
        libchat.open("shop", "carl", servers=own_server.url) as carl,
    ):
        carl.send("orders", "A parcel to Rome, 2 kg?")
        with ben.answer(price):
            assert run(AGENTS[module]) == "The customer has an answer.\n"
        said = [(message.sender, message.body) for message in carl.history("orders")]
    assert asked == ["carl: A parcel to Rome, 2 kg?"]
    assert said == [("carl", "A parcel to Rome, 2 kg?"), ("ana", "7 EUR")]


@pytest.mark.parametrize("module", AGENTS)
def test_a_model_is_told_that_the_one_it_asks_is_away(module, own_server):
    need(module)
    with libchat.open("shop", "carl", servers=own_server.url) as carl:
        carl.send("orders", "A parcel to Rome, 2 kg?")
        run(AGENTS[module])
        # The stub passes on whatever the tool says.
        told = carl.history("orders")[-1].body
    why = "request shop.ask.ben: nobody listens"
    assert told == f"{why}: start the agent that answers there, or try later"


def test_the_agents_pass_a_strict_type_checker(tmp_path):
    if not is_long():
        pytest.skip("takes a minute: make test-long")
    for module in AGENTS:
        need(module)
    check_types({*AGENTS.values(), "scripted.py"}, tmp_path)


class Sender:
    """Sends, but the first time the server freezes before it answers."""

    def __init__(self, chat, server):
        self.chat = chat
        self._server = json.loads(Path(server.folder, ".libchat/hub.json").read_text())["pid"]
        self.receipts = []
        self.errors = []

    def send(self, **options):
        if self.errors:
            self.receipts.append(self.chat.send("plan", "prices first", **options))
            return
        os.kill(self._server, signal.SIGSTOP)
        until("the server stands still", self._is_frozen)
        try:
            self.chat.send("plan", "prices first", timeout=0.5, **options)
        except libchat.OutcomeUnknown as error:
            self.errors.append(error)
            raise
        finally:
            os.kill(self._server, signal.SIGCONT)

    def _is_frozen(self):
        threads = Path(f"/proc/{self._server}/task").glob("*/stat")
        return all(it.read_text().rpartition(") ")[2].startswith("T") for it in threads)


@pytest.fixture
def sender(own_server):
    with libchat.open("shop", "ana", servers=own_server.url) as chat:
        chat.send("other", "hello")
        yield Sender(chat, own_server)


def retry_by_tenacity(send):
    """As LangChain's Runnable.with_retry does."""
    import tenacity

    is_retryable = tenacity.retry_if_exception(lambda error: getattr(error, "retryable", False))
    stop = tenacity.stop_after_attempt(3)
    tenacity.retry(retry=is_retryable, stop=stop, reraise=True)(send)("job-7")


def retry_by_langgraph(send):
    """A node's RetryPolicy. The call of the tool keeps its id."""
    from langchain_core.messages import AIMessage
    from langgraph.graph import START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode, ToolRuntime
    from langgraph.types import RetryPolicy

    def send_plan(runtime: ToolRuntime) -> str:
        """Sends."""
        send(runtime.tool_call_id)
        return "sent"

    policy = RetryPolicy(0.01, retry_on=lambda error: getattr(error, "retryable", False))
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([send_plan]), retry_policy=policy)
    graph.add_edge(START, "tools")
    call = {"name": "send_plan", "args": {}, "id": "call-7"}
    graph.compile().invoke({"messages": [AIMessage("", tool_calls=[call])]})


def retry_by_pydantic_ai(send):
    """ModelRetry. The model makes another call, with another id; the run's stays."""
    from pydantic_ai import Agent, ModelRetry, RunContext
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import FunctionModel

    def think(messages, _info):
        said = [part.content for part in messages[-1].parts]
        return ModelResponse([TextPart("done") if said == ["sent"] else ToolCallPart("send_plan")])

    def send_plan(run: RunContext) -> str:
        try:
            send(run.run_id)
        except libchat.Error as error:
            raise ModelRetry(str(error)) if error.retryable else error from None
        return "sent"

    Agent(FunctionModel(think), tools=[send_plan]).run_sync("Send the plan.")


def retry_by_hand(send):
    """The OpenAI Agents SDK repeats no call of a tool: the run ends, and is run again."""
    from agents import Agent, Runner, UserError, function_tool
    from agents.testing import ScriptedModel, assistant_message, function_call
    from agents.tool_context import ToolContext

    @function_tool(failure_error_function=None)
    def send_plan(call: ToolContext) -> str:
        send(call.tool_call_id)
        return "sent"

    def run():
        steps = [[function_call("send_plan", {}, call_id="call-7")], [assistant_message("done")]]
        agent = Agent("ana", model=ScriptedModel(steps), tools=[send_plan])
        Runner.run_sync(agent, "Send the plan.")

    try:
        run()
    except UserError as error:
        if not error.__cause__.retryable:
            raise error.__cause__ from None
        run()


RETRIES = {
    "agents": retry_by_hand,
    "langgraph": retry_by_langgraph,
    "pydantic_ai": retry_by_pydantic_ai,
    "tenacity": retry_by_tenacity,
}


def stored(chat):
    """The ids in the thread, once there are any: the server was frozen with them in its queue."""
    until("something is stored", lambda: chat.history("plan"))
    return [message.id for message in chat.history("plan")]


@pytest.mark.parametrize("module", RETRIES)
def test_a_retry_under_the_same_id_stores_once(module, sender):
    need(module)
    RETRIES[module](lambda id: sender.send(id=id))
    [error], [receipt] = sender.errors, sender.receipts
    assert (error.id, receipt.duplicate) == (receipt.id, True)
    assert stored(sender.chat) == [receipt.id]


@pytest.mark.parametrize("module", RETRIES)
def test_a_send_without_an_id_is_not_retried(module, sender):
    need(module)
    with pytest.raises(libchat.OutcomeUnknown) as raised:
        RETRIES[module](lambda _id: sender.send())
    assert sender.errors == [raised.value]
    assert sender.receipts == []
    assert stored(sender.chat) == [raised.value.id]
