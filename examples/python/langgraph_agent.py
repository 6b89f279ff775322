"""Gives history, ask and send to an agent that is a graph of LangGraph."""

import libchat
import scripted
from langchain_core.messages import HumanMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, ToolRuntime, tools_condition
from langgraph.types import RetryPolicy


def tools(chat: libchat.Manager) -> ToolNode:
    def history(thread: str) -> str:
        """The last messages of a thread."""
        messages = chat.history(thread, start=libchat.Last(20))
        return "\n".join(f"{message.sender}: {message.body}" for message in messages)

    def ask(agent: str, question: str) -> str:
        """Asks another agent, and waits for its answer."""
        try:
            return chat.ask(agent, question).decode()
        except libchat.NoResponders as error:
            return f"{error}: {error.hint}"

    def send(thread: str, body: str, runtime: ToolRuntime) -> str:
        """Stores a message in a thread."""
        return chat.send(thread, body, id=runtime.tool_call_id).id

    return ToolNode([history, ask, send])


with libchat.open("shop", "ana") as chat:
    graph = StateGraph(MessagesState).add_node("model", scripted.langgraph)
    # A call that is made again keeps its id: its message is stored once.
    again = RetryPolicy(retry_on=lambda error: getattr(error, "retryable", False))
    graph.add_node("tools", tools(chat), retry_policy=again)
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    result = graph.compile().invoke({"messages": [HumanMessage("Answer the customer in orders.")]})
    print(result["messages"][-1].content)
