"""The cases of agents and teams. Runs with any release: it uses public names of 0.7.5 only, and prints one JSON object.

    python benchmarks/agentchat.py [CASE ...]

The model is scripted and answers at once. Each figure is microseconds for one operation, the best of several repetitions
within the process.
"""

import asyncio
import gc
import json
import logging
import sys
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from itertools import pairwise
from typing import Any

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, HandoffMessage, TextMessage
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow, RoundRobinGroupChat, Swarm
from autogen_core import CancellationToken, FunctionCall
from autogen_core.model_context import BufferedChatCompletionContext
from autogen_core.models import ChatCompletionClient, CreateResult, ModelInfo, RequestUsage

REPETITIONS = 5
CHUNKS = 200


class Scripted(ChatCompletionClient):
    """Gives the same answers again and again, in their order; a text is streamed word by word."""

    def __init__(self, *answers: str | list[FunctionCall]) -> None:
        self._answers = answers or ("ok",)
        self._next = 0
        self._info = ModelInfo(
            vision=False,
            function_calling=True,
            json_output=False,
            family="unknown",
            structured_output=False,
            multiple_system_messages=True,
        )

    async def create(self, messages: Sequence[Any], **options: Any) -> CreateResult:
        answer = self._answers[self._next % len(self._answers)]
        self._next += 1
        return CreateResult(
            finish_reason="stop" if isinstance(answer, str) else "function_calls",
            content=answer,
            usage=RequestUsage(prompt_tokens=1, completion_tokens=1),
            cached=False,
        )

    async def create_stream(self, messages: Sequence[Any], **options: Any) -> AsyncGenerator[str | CreateResult, None]:
        result = await self.create(messages)
        for word in str(result.content).split():
            yield word
        yield result

    async def close(self) -> None: ...

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    def total_usage(self) -> RequestUsage:
        return self.actual_usage()

    def count_tokens(self, messages: Sequence[Any], **options: Any) -> int:
        return 1

    def remaining_tokens(self, messages: Sequence[Any], **options: Any) -> int:
        return 1000

    @property
    def capabilities(self) -> Any:
        return self._info

    @property
    def model_info(self) -> ModelInfo:
        return self._info


class Bare(BaseChatAgent):
    """Answers with a constant, or hands over."""

    def __init__(self, name: str, handoff: str | None = None) -> None:
        super().__init__(name, "answers")
        self._handoff = handoff

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage, HandoffMessage)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        return Response(chat_message=TextMessage(content="ok", source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None: ...


async def weather(city: str) -> str:
    """Say the weather."""
    return f"sunny in {city}"


def plain_weather(city: str) -> str:
    """Say the weather. A plain function runs in a thread, here and in 0.7.5."""
    return f"sunny in {city}"


def assistant(name: str, *answers: str | list[FunctionCall], **options: Any) -> AssistantAgent:
    """Make an agent with a scripted model."""
    return AssistantAgent(name, Scripted(*answers), **options)


def bounded(name: str) -> AssistantAgent:
    """Make an agent that shows its model ten messages at most."""
    return assistant(name, model_context=BufferedChatCompletionContext(buffer_size=10))


async def _best(work: Callable[[], Awaitable[int]]) -> float:
    """Time work that says how many operations it did; the first time is for warming up."""
    best = float("inf")
    for number in range(REPETITIONS + 1):
        gc.collect()
        begin = time.perf_counter()
        operations = await work()
        if number:
            best = min(best, (time.perf_counter() - begin) / operations)
    return best * 1e6


async def agent_turn() -> float:
    """One task of one agent."""

    async def work() -> int:
        agent = assistant("agent")
        for _ in range(100):
            await agent.run(task="hi")
        return 100

    return await _best(work)


async def _tool_turn(tool: Callable[[str], Any]) -> float:
    async def work() -> int:
        call = FunctionCall(id="1", name=tool.__name__, arguments='{"city": "Paris"}')
        agent = assistant("agent", [call], "It is sunny.", tools=[tool], reflect_on_tool_use=True)
        for _ in range(50):
            await agent.run(task="hi")
        return 50

    return await _best(work)


async def tool_turn() -> float:
    """A task with a call of a tool, and the answer to it."""
    return await _tool_turn(weather)


async def plain_tool_turn() -> float:
    """The same with a plain function."""
    return await _tool_turn(plain_weather)


async def _turns(members: int, turns: int, make: Callable[[str], Any] = bounded) -> float:
    async def work() -> int:
        await RoundRobinGroupChat([make(f"a{n}") for n in range(members)], max_turns=turns).run(task="go")
        return turns

    return await _best(work)


async def team_turn() -> float:
    """A round robin of three."""
    return await _turns(3, 60)


async def team_turn_of_fifty() -> float:
    """A round robin of fifty."""
    return await _turns(50, 100)


async def team_turn_late() -> float:
    """Turns 2,700 to 3,000 of one conversation, bounded contexts: here microseconds for one of these turns."""
    team = RoundRobinGroupChat([bounded(f"a{n}") for n in range(3)], max_turns=300)
    spent: list[float] = []
    for number in range(10):
        begin = time.perf_counter()
        await team.run(task="go" if number == 0 else None)
        spent.append((time.perf_counter() - begin) / 300)
    return spent[-1] * 1e6


async def team_turn_early() -> float:
    """The same conversation's turns 0 to 300."""
    return await _turns(3, 300)


async def streamed_chunk() -> float:
    """What the reader of a team's run gets, an item."""
    text = " ".join("word" for _ in range(CHUNKS))

    async def work() -> int:
        team = RoundRobinGroupChat([assistant("a", text, model_client_stream=True)], max_turns=4)
        chunks = 0
        async for _ in team.run_stream(task="go"):
            chunks += 1
        return chunks

    return await _best(work)


async def swarm_turn() -> float:
    """Two that hand over to each other."""

    async def work() -> int:
        def over(to: str) -> AssistantAgent:
            name = "b" if to == "a" else "a"
            return assistant(name, [FunctionCall(id="1", name=f"transfer_to_{to}", arguments="{}")], handoffs=[to])

        await Swarm([over("b"), over("a")], max_turns=30).run(task="go")
        return 30

    return await _best(work)


async def _graph(nodes: int) -> float:
    async def work() -> int:
        agents: list[Any] = [bounded(f"a{n}") for n in range(nodes)]
        builder = DiGraphBuilder()
        for agent in agents:
            builder.add_node(agent)
        for source, target in pairwise(agents):
            builder.add_edge(source, target)
        rounds = 10 if nodes < 10 else 1
        for _ in range(rounds):
            await GraphFlow(agents, builder.build()).run(task="go")
        return rounds * nodes

    return await _best(work)


async def graph_of_three() -> float:
    """A chain of three nodes."""
    return await _graph(3)


async def graph_of_fifty() -> float:
    """A chain of fifty nodes."""
    return await _graph(50)


async def two_hundred_teams() -> float:
    """Six turns each of 200 teams in one event loop."""

    async def work() -> int:
        teams = [RoundRobinGroupChat([bounded("a"), bounded("b"), bounded("c")], max_turns=6) for _ in range(200)]
        await asyncio.gather(*(team.run(task="go") for team in teams))
        return 1200

    return await _best(work)


CASES: Mapping[str, Callable[[], Coroutine[Any, Any, float]]] = {
    "turn of one agent": agent_turn,
    "team of 3, per turn": team_turn,
    "team of 50, per turn": team_turn_of_fifty,
    "team of 3, turns 0-300": team_turn_early,
    "team of 3, turns 2,700-3,000": team_turn_late,
    "streamed chunk through a team": streamed_chunk,
    "tool call and answer": tool_turn,
    "call of a plain function and answer": plain_tool_turn,
    "graph of 3, per node": graph_of_three,
    "graph of 50, per node": graph_of_fifty,
    "swarm, per turn": swarm_turn,
    "200 teams at once, per turn": two_hundred_teams,
}


def main() -> None:
    """Print the figures of the named cases, or of all."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    print(json.dumps({case: asyncio.run(CASES[case]()) for case in sys.argv[1:] or CASES}))


if __name__ == "__main__":
    main()
