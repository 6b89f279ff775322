"""Stands in for a language model: agents of the frameworks need no key and no network here.

To see one at work, in an empty folder named shop: libchat up; libchat --as carl send orders "Rome?"
libchat --as ben answer "7 EUR" & python openai_agents.py; libchat --as carl read orders
"""

import uuid
from typing import Any


def think(said: list[str]) -> tuple[str, dict[str, str]] | str:
    """The next call of a tool, from what they have said so far; in the end a text."""
    match said:
        case []:
            return "history", {"thread": "orders"}
        case [orders]:
            return "ask", {"agent": "ben", "question": orders.rpartition("\n")[2]}
        case [_, price]:
            return "send", {"thread": "orders", "body": price}
    return "The customer has an answer."


def openai_agents(call: Any) -> list[Any]:
    """For ModelStep.respond."""
    from agents.testing import assistant_message, function_call

    step = think([it["output"] for it in call.input if it.get("type") == "function_call_output"])
    if isinstance(step, str):
        return [assistant_message(step)]
    return [function_call(*step, call_id=uuid.uuid4().hex)]


def pydantic_ai(messages: list[Any], _info: Any) -> Any:
    """For FunctionModel."""
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart

    parts = [part for message in messages for part in message.parts]
    step = think([it.content for it in parts if it.part_kind == "tool-return"])
    return ModelResponse([TextPart(step) if isinstance(step, str) else ToolCallPart(*step)])


def langgraph(state: Any) -> dict[str, list[Any]]:
    """For a node of a graph."""
    from langchain_core.messages import AIMessage

    step = think([it.content for it in state["messages"] if it.type == "tool"])
    if isinstance(step, str):
        return {"messages": [AIMessage(step)]}
    call = {"name": step[0], "args": step[1], "id": uuid.uuid4().hex}
    return {"messages": [AIMessage("", tool_calls=[call])]}
