"""Gives history, ask and send to an agent of the OpenAI Agents SDK."""

import libchat
import scripted
from agents import Agent, Runner, function_tool, set_tracing_disabled
from agents.testing import ModelStep, ScriptedModel
from agents.tool_context import ToolContext


def history(call: ToolContext[libchat.Manager], thread: str) -> str:
    """The last messages of a thread."""
    messages = call.context.history(thread, start=libchat.Last(20))
    return "\n".join(f"{message.sender}: {message.body}" for message in messages)


def ask(call: ToolContext[libchat.Manager], agent: str, question: str) -> str:
    """Asks another agent, and waits for its answer."""
    try:
        return call.context.ask(agent, question).decode()
    except libchat.NoResponders as error:
        return f"{error}: {error.hint}"


def send(call: ToolContext[libchat.Manager], thread: str, body: str) -> str:
    """Stores a message in a thread."""
    return call.context.send(thread, body, id=call.tool_call_id).id


set_tracing_disabled(True)  # or OpenAI would get to read everything
model = ScriptedModel([ModelStep.respond(scripted.openai_agents)] * 4)
# Any other error ends the run. By default the model is told to try again: under a new id, that is.
tools = [function_tool(tool, failure_error_function=None) for tool in (history, ask, send)]
agent = Agent[libchat.Manager]("ana", model=model, tools=[*tools])
with libchat.open("shop", "ana") as chat:
    print(Runner.run_sync(agent, "Answer the customer in orders.", context=chat).final_output)
