"""Each call is booked for the run that it is part of and the agent that makes it, without a word from the program."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent, SocietyOfMindAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat
from autogen_agentchat.tools import AgentTool
from autogen_core import CancellationToken, FunctionCall, SingleThreadedAgentRuntime
from autogen_core.lowlevel import RunScope
from autogen_core.models import CreateResult, RequestUsage
from autogen_ext.models.middleware import LedgerClient, UsageLedger, UsageScope, current_scope, usage_scope

from .kit import HI, ScriptedClient, result, settle


def calling(name: str) -> CreateResult:
    call = FunctionCall(id="1", name=name, arguments='{"task": "Go on."}')
    return CreateResult(finish_reason="function_calls", content=[call], usage=RequestUsage(7, 3), cached=False)


def model(ledger: UsageLedger, *script: Any, then: Any = None) -> LedgerClient:
    scripted = ScriptedClient(list(script), latency=settle)
    scripted.then = then or scripted.then
    return LedgerClient(scripted, ledger, model="m")


def calls_by(ledger: UsageLedger) -> list[dict[str, int]]:
    """Return for each run how many calls each agent made, in the order of the runs' first calls."""
    return [
        {agent: totals.calls for agent in ledger.by("agent") if (totals := ledger.total(run=run, agent=agent)).calls}
        for run in ledger.by("run")
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_agent_alone_is_known_by_its_name_and_each_run_is_one_of_its_own(stream: bool) -> None:
    ledger = UsageLedger()
    ann = AssistantAgent("ann", model(ledger), model_client_stream=stream)
    for _ in range(2):
        if stream:
            async for _ in ann.run_stream(task="Go on."):
                assert RunScope.current() is None
        else:
            await ann.run(task="Go on.")
    assert calls_by(ledger) == [{"ann": 1}, {"ann": 1}]


async def test_the_agents_of_a_team_share_its_run() -> None:
    ledger = UsageLedger()
    ann = AssistantAgent("ann", model(ledger))
    bob = AssistantAgent("bob", model(ledger), model_client_stream=True)
    team = RoundRobinGroupChat([ann, bob], max_turns=4)
    await team.run(task="Go on.")
    await team.run(task="Go on.")
    assert calls_by(ledger) == [{"ann": 2, "bob": 2}, {"ann": 2, "bob": 2}]


async def test_what_the_program_says_ranks_above() -> None:
    ledger = UsageLedger()
    team = RoundRobinGroupChat([AssistantAgent("ann", model(ledger))], max_turns=2)
    with usage_scope(run="mine"):
        await team.run(task="Go on.")
        with usage_scope(agent="also mine"):
            await team.run(task="Go on.")
    assert ledger.total(run="mine", agent="ann").calls == 2
    assert ledger.total(run="mine", agent="also mine").calls == 2


@pytest.mark.parametrize("shared_runtime", [False, True])
async def test_concurrent_runs_of_teams_do_not_mix(shared_runtime: bool) -> None:
    ledger = UsageLedger()
    runtime = SingleThreadedAgentRuntime() if shared_runtime else None
    if runtime is not None:
        runtime.start()
    scopes: list[list[str]] = []

    async def converse(number: int) -> None:
        names = [f"a{number}", f"b{number}"]
        agents = [AssistantAgent(name, model(ledger), model_client_stream=number % 2 == 0) for name in names]
        team = RoundRobinGroupChat([*agents], max_turns=6, runtime=runtime)
        async for _ in team.run_stream(task="Go on."):
            assert current_scope() == UsageScope()  # the reader is in nobody's run
            await asyncio.sleep(0)
        scopes.append(names)

    await asyncio.gather(*(converse(number) for number in range(5)))
    if runtime is not None:
        await runtime.stop()
    assert len(scopes) == 5
    assert sorted(map(sorted, calls_by(ledger))) == sorted(scopes)
    assert all(set(calls.values()) == {3} for calls in calls_by(ledger))


async def test_a_reader_that_runs_a_team_between_the_messages_of_another_starts_a_run_of_its_own() -> None:
    ledger = UsageLedger()
    first = RoundRobinGroupChat([AssistantAgent("ann", model(ledger))], max_turns=1)
    second = RoundRobinGroupChat([AssistantAgent("bob", model(ledger))], max_turns=1)
    async with aclosing(first.run_stream(task="Go on.")) as stream:
        async for item in stream:
            if isinstance(item, TextMessage) and item.source == "ann":
                await second.run(task="Go on.")
    async with aclosing(AssistantAgent("cid", model(ledger)).run_stream(task="Go on.")) as stream:
        async for item in stream:
            if isinstance(item, TextMessage) and item.source == "cid":
                await second.run(task="Go on.")
    assert calls_by(ledger) == [{"ann": 1}, {"bob": 1}, {"cid": 1}, {"bob": 1}]


async def test_inner_teams_and_societies_work_for_the_outermost_run() -> None:
    ledger = UsageLedger()
    inner = RoundRobinGroupChat([AssistantAgent("ann", model(ledger))], max_turns=2)
    members = RoundRobinGroupChat([AssistantAgent("bob", model(ledger))], max_turns=1)
    society = SocietyOfMindAgent("society", members, model(ledger))
    await RoundRobinGroupChat([inner, society], max_turns=2).run(task="Go on.")
    assert calls_by(ledger) == [{"ann": 2, "bob": 1, "society": 1}]


async def test_the_choice_of_a_speaker_is_booked_for_the_manager_also_of_an_inner_team() -> None:
    ledger = UsageLedger()

    def selector(*names: str) -> SelectorGroupChat:
        agents = [AssistantAgent(name, model(ledger)) for name in names]
        return SelectorGroupChat([*agents], model(ledger, then=result(names[0])), max_turns=1)

    await selector("ann", "bob").run(task="Go on.")
    await RoundRobinGroupChat([SocietyOfMindAgent("society", selector("cid", "dan"), model(ledger))], max_turns=1).run(
        task="Go on."
    )
    assert calls_by(ledger) == [
        {"SelectorGroupChatManager": 1, "ann": 1},
        {"SelectorGroupChatManager": 1, "cid": 1, "society": 1},
    ]


async def test_an_agent_that_is_a_tool_is_booked_by_its_own_name_in_the_run_that_calls_it() -> None:
    ledger = UsageLedger()
    helper = AssistantAgent("helper", model(ledger), model_client_stream=True)
    ann = AssistantAgent("ann", model(ledger, calling("helper")), tools=[AgentTool(helper)], reflect_on_tool_use=True)
    await RoundRobinGroupChat([ann], max_turns=1).run(task="Go on.")
    assert calls_by(ledger) == [{"ann": 2, "helper": 1}]


async def test_a_tool_in_a_thread_knows_whose_work_it_does() -> None:
    seen: list[UsageScope] = []

    def look(task: str) -> str:
        """Look who asks."""
        seen.append(current_scope())
        return task

    ledger = UsageLedger()
    await AssistantAgent("ann", model(ledger, calling("look")), tools=[look]).run(task="Go on.")
    [run] = ledger.by("run")
    assert seen == [UsageScope(run, "ann")]


class Own(BaseChatAgent):
    """An agent of the program's own, with pauses between what it yields."""

    def __init__(self, name: str, client: LedgerClient) -> None:
        super().__init__(name, "asks a model")
        self.client = client

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return [TextMessage]

    async def on_messages(self, messages: Any, cancellation_token: CancellationToken) -> Response:
        await self.client.create(HI)
        return Response(chat_message=TextMessage(content="done", source=self.name))

    async def on_messages_stream(
        self, messages: Any, cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        for _ in range(2):
            await self.client.create(HI)
            yield TextMessage(content="so far", source=self.name)
        yield Response(chat_message=TextMessage(content="done", source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None: ...


async def test_agents_of_the_programs_own_are_booked_alike_also_when_their_streams_interleave() -> None:
    ledger = UsageLedger()
    client = model(ledger)
    await Own("eve", client).run(task="Go on.")
    streams = [Own(name, client).run_stream(task="Go on.") for name in ("fay", "gus")]
    ends: list[object] = []
    for _ in range(5):  # task, two pieces, the answer, the result
        ends = [await anext(stream) for stream in streams]
        assert current_scope() == UsageScope()
    assert all(isinstance(end, TaskResult) for end in ends)
    for stream in streams:
        await stream.aclose()
    assert calls_by(ledger) == [{"eve": 1}, {"fay": 2}, {"gus": 2}]


async def test_a_run_that_is_given_up_leaves_no_trace_in_its_reader() -> None:
    ledger = UsageLedger()
    stream = Own("eve", model(ledger)).run_stream(task="Go on.")
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    assert current_scope() == UsageScope()
    assert calls_by(ledger) == [{"eve": 1}]
