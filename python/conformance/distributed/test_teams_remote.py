"""`RemoteAgent` and `serve_agent`: what becomes of a turn when messages or workers are lost, and what each side refuses."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    MessageFactory,
    StructuredMessage,
    TextMessage,
    UnknownMessageTypeError,
)
from autogen_agentchat.remote import RemoteAgent, connected_to, serve_agent
from autogen_agentchat.remote._agent import Turn
from autogen_agentchat.remote._protocol import RemoteAgentEvents
from autogen_agentchat.teams import GroupChatError, RoundRobinGroupChat
from autogen_core import (
    Agent,
    AgentId,
    CancellationToken,
    SingleThreadedAgentRuntime,
)
from autogen_core.exceptions import MessageDroppedException, UndeliverableException
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost

from .runtimes import World, until
from .teams_cast import Actor, Held, Losing, calls, facts, model, play, texts
from .teams_messages import Report


@pytest.fixture
async def losing() -> Losing:
    """What is lost in `runtime`."""
    return Losing()


@pytest.fixture
async def runtime(losing: Losing) -> AsyncGenerator[SingleThreadedAgentRuntime]:
    """A started local runtime."""
    runtime = SingleThreadedAgentRuntime(intervention_handlers=[losing])
    runtime.start()
    yield runtime
    await runtime.close()


@pytest.fixture
async def at_host() -> AsyncGenerator[Callable[[], Any]]:
    """Makes workers at a host; the test may close them itself."""
    host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0")
    host.start()
    made: list[GrpcWorkerAgentRuntime] = []

    async def make() -> GrpcWorkerAgentRuntime:
        worker = GrpcWorkerAgentRuntime(f"127.0.0.1:{host.port}", drain_timeout=0.1)
        await worker.start()
        made.append(worker)
        return worker

    yield make
    for worker in made:
        await worker.close()
    await host.stop(grace=0)


def text(content: str, id: str = "") -> TextMessage:
    message = TextMessage(content=content, source="user")
    return message.model_copy(update={"id": id}) if id else message


async def test_a_turn_whose_answer_was_lost_is_not_taken_twice(
    runtime: SingleThreadedAgentRuntime, losing: Losing
) -> None:
    """The model is asked once; the answer, its tool calls included, is repeated."""
    client = Held.at_once(calls("look"), "Seen.")

    def look() -> str:
        return "a house"

    await serve_agent(runtime, "eye", lambda: AssistantAgent("eye", client, tools=[look], reflect_on_tool_use=True))
    team = RoundRobinGroupChat([RemoteAgent("eye", runtime=runtime)], runtime=runtime, max_turns=1)
    losing.left["RemoteAgentAnswer"] = 1
    with pytest.raises(GroupChatError) as raised:
        await team.run(task="Look!")
    assert isinstance(raised.value.__cause__, MessageDroppedException)
    said = await play(team.run_stream())
    assert texts(said) == ["eye: Seen."]
    assert [one["type"] for one in said[:2]] == ["ToolCallRequestEvent", "ToolCallExecutionEvent"]
    assert client.asked == 2


async def test_who_asks_again_and_has_more_to_say_is_answered_anew(
    runtime: SingleThreadedAgentRuntime, losing: Losing
) -> None:
    """The agent then hears only what it has not heard."""
    client = Held.at_once("One.", "Two.")
    await serve_agent(runtime, "ann", lambda: AssistantAgent("ann", client, system_message=None))
    agent = RemoteAgent("ann", runtime=runtime)
    losing.left["RemoteAgentAnswer"] = 1
    first, token = text("first"), CancellationToken()
    with pytest.raises(MessageDroppedException):
        await agent.on_messages([first], token)
    response = await agent.on_messages([first, text("second")], token)
    assert response.chat_message.to_text() == "Two."
    assert [message.content for message in client.create_calls[1]["messages"]] == ["first", "One.", "second"]


@pytest.mark.parametrize("lost", [1, 2, 1000])
async def test_lost_events_come_with_the_answer_once_and_in_order(
    runtime: SingleThreadedAgentRuntime, losing: Losing, lost: int
) -> None:
    """Whichever batch is lost, and whether its loss is noticed at the first or later."""
    client = model(calls("look"), "a b c d")

    def look() -> str:
        return "a house"

    def make() -> AssistantAgent:
        return AssistantAgent("eye", client, tools=[look], reflect_on_tool_use=True, model_client_stream=True)

    await serve_agent(runtime, "eye", make)
    losing.left["RemoteAgentEvents"] = lost
    team = RoundRobinGroupChat([RemoteAgent("eye", runtime=runtime)], runtime=runtime, max_turns=1)
    said = await play(team.run_stream(task="Look!"))
    kinds = [one["type"] for one in said[1:-1]]
    assert kinds[:2] == ["ToolCallRequestEvent", "ToolCallExecutionEvent"]
    assert "".join(one["content"] for one in said[1:-1] if one["type"].endswith("ChunkEvent")) == "a b c d"
    assert kinds[-1] == "TextMessage"


async def test_acknowledgements_that_are_lost_double_nothing(
    runtime: SingleThreadedAgentRuntime, losing: Losing
) -> None:
    """The events arrived, their sender does not know it, and sends them again with the answer."""
    await serve_agent(runtime, "poet", lambda: AssistantAgent("poet", model("a b c d e"), model_client_stream=True))
    losing.left["RemoteAgentEventsTaken"] = 2
    team = RoundRobinGroupChat([RemoteAgent("poet", runtime=runtime)], runtime=runtime, max_turns=1)
    said = await play(team.run_stream(task="go"))
    assert "".join(one["content"] for one in said[1:-1] if one["type"].endswith("ChunkEvent")) == "a b c d e"


async def test_events_of_an_attempt_that_another_has_followed_are_not_shown() -> None:
    """A worker that hung and wakes up sends the rest of its events; so may one whose turn was cancelled."""

    def events(attempt: str, *numbers: int) -> RemoteAgentEvents:
        items = [dict(text(f"{attempt}{number}").dump()) for number in numbers]
        return RemoteAgentEvents("turn", attempt, f"desk_{attempt}/default", list(numbers), items)

    shown: dict[str, int] = {}
    turn = Turn(MessageFactory(), shown, paused=False)
    for batch in (events("a"), events("a", 0, 1), events("b"), events("a", 2), events("b", 0), events("b", 0, 1)):
        turn.take(batch)
    assert turn.desk == AgentId("desk_b", "default")
    assert [item.to_text() for item in turn.items.rest()] == ["a0", "a1", "b0", "b1"]

    again = Turn(MessageFactory(), shown, paused=False)
    for batch in (events("b", 2), events("c"), events("c", 0)):
        again.take(batch)
    assert again.desk == AgentId("desk_c", "default")
    assert [item.to_text() for item in again.items.rest()] == ["c0"]


async def test_events_come_while_the_turn_runs(at_host: Callable[[], Any]) -> None:
    """The first is there before the agent says the second."""
    seen = asyncio.Event()

    class Narrator(BaseChatAgent):
        @property
        def produced_message_types(self) -> list[type[BaseChatMessage]]:
            return [TextMessage]

        async def on_messages(self, messages: Any, cancellation_token: CancellationToken) -> Response:
            raise NotImplementedError

        async def on_messages_stream(
            self, messages: Any, cancellation_token: CancellationToken
        ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
            yield TextMessage(content="one", source=self.name)
            yield TextMessage(content="two", source=self.name)
            await asyncio.wait_for(seen.wait(), 10)
            yield Response(chat_message=TextMessage(content="three", source=self.name))

        async def on_reset(self, cancellation_token: CancellationToken) -> None:
            """There is nothing to forget."""

    here, there = await at_host(), await at_host()
    await serve_agent(there, "narrator", lambda: Narrator("narrator", "tells"))
    heard: list[str] = []
    async for item in RemoteAgent("narrator", runtime=here).on_messages_stream([text("go")], CancellationToken()):
        heard.append(item.chat_message.to_text() if isinstance(item, Response) else item.to_text())
        seen.set()
    assert heard == ["one", "two", "three"]


async def test_a_worker_that_leaves_in_mid_turn_fails_it_and_another_takes_it_again(
    at_host: Callable[[], Any],
) -> None:
    """Nobody waits for ever; the next run asks again, and whoever serves the agent now hears everything."""
    here, first = await at_host(), await at_host()
    held, client = Held("never"), Held.at_once("Here.")
    await serve_agent(first, "ann", lambda: AssistantAgent("ann", held))
    team = RoundRobinGroupChat([RemoteAgent("ann", runtime=here)], runtime=here, max_turns=1)
    run = asyncio.create_task(team.run(task="go"))
    async with asyncio.timeout(20):
        await held.waiting.wait()
        await first.close()
        with pytest.raises(GroupChatError):
            await run
        second = await at_host()
        await serve_agent(second, "ann", lambda: AssistantAgent("ann", client))
        result = await team.run()
    assert [message.to_text() for message in result.messages] == ["Here."]
    assert client.create_calls[0]["messages"][-1].content == "go"


async def test_the_state_that_a_runtime_keeps_moves_a_conversation_to_another_worker(
    at_host: Callable[[], Any],
) -> None:
    """What `ServedAgent.save_state` returns is all that another needs; a turn that had ended is not taken again."""
    here, first = await at_host(), await at_host()
    await serve_agent(first, "ann", lambda: Actor("ann", "a", "b", "c"))
    agent, token = RemoteAgent("ann", runtime=here, key="talk"), CancellationToken()
    await agent.on_messages([text("one")], token)
    state = json.loads(json.dumps(await here.agent_save_state(AgentId("ann", "talk"))))
    await first.close()
    second = await at_host()
    await serve_agent(second, "ann", lambda: Actor("ann", "a", "b", "c"))
    await here.agent_load_state(AgentId("ann", "talk"), state)
    response = await agent.on_messages([text("two")], token)
    assert response.chat_message.to_text() == "b (2)"


async def test_a_state_saved_between_the_end_of_a_turn_and_its_answer_holds_the_answer(
    runtime: SingleThreadedAgentRuntime, losing: Losing
) -> None:
    """Loaded elsewhere, the turn is not taken again."""
    client = Held.at_once("Once.")
    await serve_agent(runtime, "ann", lambda: AssistantAgent("ann", client))
    agent, task, token = RemoteAgent("ann", runtime=runtime), text("go"), CancellationToken()
    losing.left["RemoteAgentAnswer"] = 1
    with pytest.raises(MessageDroppedException):
        await agent.on_messages([task], token)
    state = json.loads(json.dumps(await agent.save_state()))
    other = RemoteAgent("ann", runtime=runtime)
    await other.load_state(state)
    assert (await other.on_messages([task], token)).chat_message.to_text() == "Once."
    assert client.asked == 1


async def test_conversations_are_apart_unless_they_have_the_same_key(runtime: SingleThreadedAgentRuntime) -> None:
    await serve_agent(runtime, "ann", lambda: Actor("ann"))
    one, two = RemoteAgent("ann", runtime=runtime), RemoteAgent("ann", runtime=runtime)
    shared = [RemoteAgent("ann", runtime=runtime, key="office") for _ in range(2)]
    answers = [(await agent.run(task="go")).messages[-1].to_text() for agent in (one, two, *shared)]
    assert answers == ["turn 0 (1)", "turn 0 (1)", "turn 0 (1)", "turn 1 (2)"]


async def test_a_team_that_is_served_answers_as_one_agent(world: World) -> None:
    """The others hear its last message; what its members said is seen, once and in order."""

    async def make() -> RoundRobinGroupChat:
        return RoundRobinGroupChat([Actor("ann", "a"), Actor("bob", "b")], name="jury", max_turns=2)

    await serve_agent(world.agents, "jury", make)
    jury = RemoteAgent("jury", runtime=world.runtime)
    team = RoundRobinGroupChat([jury, Actor("judge", "so be it")], runtime=world.runtime, max_turns=3)
    said = await play(team.run_stream(task="go"))
    assert texts(said)[1:] == [
        "ann: a (1)",
        "bob: b (2)",
        "judge: so be it (2)",
        "ann: turn 1 (3)",
        "bob: turn 1 (4)",
    ]
    await team.reset()
    assert await play(team.run_stream(task="go")) == said


async def test_what_nobody_serves_is_said_at_once(world: World) -> None:
    team = RoundRobinGroupChat([RemoteAgent("nobody", runtime=world.runtime)], runtime=world.runtime, max_turns=1)
    async with asyncio.timeout(10):
        with pytest.raises(GroupChatError) as raised:
            await team.run(task="go")
    assert isinstance(raised.value.__cause__, LookupError)
    if world.distributed:
        assert isinstance(raised.value.__cause__, UndeliverableException)


async def test_the_handler_of_a_cancelled_turn_is_cancelled_where_it_runs(world: World) -> None:
    held = Held("never")
    await serve_agent(world.agents, "ann", lambda: AssistantAgent("ann", held))
    agent, token = RemoteAgent("ann", runtime=world.runtime), CancellationToken()
    turn = asyncio.create_task(agent.on_messages([text("go")], token))
    async with asyncio.timeout(10):
        await held.waiting.wait()
        token.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
    await until(lambda: held.cancelled == 1)
    held.released.set()
    assert (await agent.on_messages([text("go")], CancellationToken())).chat_message.to_text() == "never"


async def test_a_team_that_could_not_be_seated_can_be_run_later(at_host: Callable[[], Any]) -> None:
    """The runtime was stopped when its second member was to be seated."""
    here = await at_host()
    register, seated = here.register_agent_instance, 0

    async def refusing(agent_instance: Agent, agent_id: AgentId) -> AgentId:
        nonlocal seated
        seated += 1
        if seated == 2:
            await here.stop()
        return await register(agent_instance, agent_id)

    here.register_agent_instance = refusing
    team = RoundRobinGroupChat([Actor("ann", "a"), Actor("bob", "b")], runtime=here, max_turns=2)
    with pytest.raises(RuntimeError, match="started"):
        await team.run(task="go")
    await here.start()
    assert texts(await play(team.run_stream(task="go")))[1:] == ["ann: a (1)", "bob: b (2)"]


async def test_an_agent_takes_one_turn_at_a_time(runtime: SingleThreadedAgentRuntime) -> None:
    held = Held("done")
    await serve_agent(runtime, "ann", lambda: AssistantAgent("ann", held))
    agent = RemoteAgent("ann", runtime=runtime)
    turn = asyncio.create_task(agent.run(task="go"))
    await held.waiting.wait()
    with pytest.raises(RuntimeError, match="one turn at a time"):
        await agent.run(task="go")
    held.released.set()
    assert (await turn).messages[-1].to_text() == "done"


async def test_an_answer_of_an_unknown_type_says_which_and_is_kept(runtime: SingleThreadedAgentRuntime) -> None:
    client = Held.at_once('{"title": "Roses", "pages": 3}')
    await serve_agent(runtime, "ann", lambda: AssistantAgent("ann", client, output_content_type=Report))
    agent, task, token = RemoteAgent("ann", runtime=runtime, key="k"), text("go"), CancellationToken()
    with pytest.raises(UnknownMessageTypeError, match=r"StructuredMessage\[Report\]"):
        await agent.on_messages([task], token)
    knows = RemoteAgent("ann", runtime=runtime, custom_message_types=[StructuredMessage[Report]])
    await knows.load_state(await agent.save_state())
    answer = (await knows.on_messages([task], token)).chat_message
    assert isinstance(answer, StructuredMessage)
    assert client.asked == 1


async def test_a_pause_between_turns_holds_the_next_one(runtime: SingleThreadedAgentRuntime) -> None:
    client = Held.at_once("done")
    await serve_agent(runtime, "ann", lambda: AssistantAgent("ann", client))
    agent, token = RemoteAgent("ann", runtime=runtime), CancellationToken()
    await agent.on_pause(token)
    turn = asyncio.create_task(agent.run(task="go"))
    await asyncio.sleep(0.05)
    assert client.asked == 0
    await agent.on_resume(token)
    assert (await turn).messages[-1].to_text() == "done"


async def test_the_configuration_names_the_agent_and_the_program_its_runtime(
    runtime: SingleThreadedAgentRuntime,
) -> None:
    """A team with remote agents is saved and made again as a component."""
    await serve_agent(runtime, "ann", lambda: Actor("ann", "a"))
    agent = RemoteAgent("ann", description="speaks", runtime=runtime, key="office")
    team = RoundRobinGroupChat([agent], max_turns=1)
    config = team.dump_component()
    assert config.config["participants"][0]["config"] == {
        "name": "ann",
        "description": "speaks",
        "agent_type": "ann",
        "key": "office",
    }
    with pytest.raises(ValueError, match="connected_to"):
        RoundRobinGroupChat.load_component(config)
    with connected_to(runtime):
        loaded = RoundRobinGroupChat.load_component(config)
    assert facts((await loaded.run(task="go")).messages)[1]["content"] == "a (1)"
