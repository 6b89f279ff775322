"""Gives history, ask and send to an agent of pydantic-ai."""

import asyncio

import libchat
import scripted
from pydantic_ai import Agent, ModelRetry, RunContext
from pydantic_ai.models.function import FunctionModel

agent = Agent(FunctionModel(scripted.pydantic_ai), deps_type=libchat.aio.Manager)


@agent.tool
async def history(run: RunContext[libchat.aio.Manager], thread: str) -> str:
    """The last messages of a thread."""
    messages = await run.deps.history(thread, start=libchat.Last(20))
    return "\n".join(f"{message.sender}: {message.body}" for message in messages)


@agent.tool
async def ask(run: RunContext[libchat.aio.Manager], agent: str, question: str) -> str:
    """Asks another agent, and waits for its answer."""
    try:
        return (await run.deps.ask(agent, question)).decode()
    except libchat.NoResponders as error:
        raise ModelRetry(f"{error}: {error.hint}") from error


@agent.tool
async def send(run: RunContext[libchat.aio.Manager], thread: str, body: str) -> str:
    """Stores a message in a thread."""
    return (await run.deps.send(thread, body, id=run.tool_call_id)).id


async def main() -> None:
    async with libchat.aio.open("shop", "ana") as chat:
        print((await agent.run("Answer the customer in orders.", deps=chat)).output)


asyncio.run(main())
