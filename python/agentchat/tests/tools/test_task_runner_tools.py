"""Agents and teams as tools."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Self

import pytest
from pydantic import BaseModel, ValidationError

from autogen_agentchat.agents import AssistantAgent, BaseChatAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    MultiModalMessage,
    TextMessage,
    ThoughtEvent,
    ToolCallExecutionEvent,
)
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core import CancellationToken, Component, ComponentModel, FunctionCall
from autogen_core.models import CreateResult, ModelInfo, RequestUsage
from autogen_core.tools import BaseTool, StaticStreamWorkbench
from autogen_ext.models.replay import ReplayChatCompletionClient


class EchoConfig(BaseModel):
    name: str


class Echo(BaseChatAgent, Component[EchoConfig]):
    """Says what it was told, after a thought, and counts how often it was asked."""

    component_config_schema = EchoConfig

    def __init__(self, name: str = "echo") -> None:
        super().__init__(name, f"I am {name}.")
        self.asked = 0
        self.at_work = 0

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        self.asked += 1
        self.at_work += 1
        assert self.at_work == 1, "an agent does one thing at a time"
        try:
            work = asyncio.ensure_future(asyncio.sleep(60 if messages[-1].to_text() == "sleep" else 0))
            await cancellation_token.link_future(work)
        finally:
            self.at_work -= 1
        said = messages[-1].to_model_text()
        return Response(
            chat_message=TextMessage(source=self.name, content=f"{said}!"),
            inner_messages=[ThoughtEvent(source=self.name, content="hm")],
        )

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        self.asked = 0

    async def save_state(self) -> Mapping[str, Any]:
        return {"asked": self.asked}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        self.asked = state["asked"]

    def _to_config(self) -> EchoConfig:
        return EchoConfig(name=self.name)

    @classmethod
    def _from_config(cls, config: EchoConfig) -> Self:
        return cls(config.name)


def crew() -> RoundRobinGroupChat:
    return RoundRobinGroupChat([Echo("first"), Echo("second")], max_turns=2)


def says(text: str, source: str = "echo") -> TextMessage:
    return TextMessage(source=source, content=text)


async def ask(tool: BaseTool[Any, Any], task: str) -> str:
    return tool.return_value_as_string(await tool.run_json({"task": task}, CancellationToken()))


def test_an_agents_tool_is_described_as_the_agent_and_takes_a_task() -> None:
    schema = AgentTool(Echo()).schema
    assert schema["name"] == "echo"
    assert schema.get("description") == "I am echo."
    assert schema.get("strict") is True
    parameters = schema.get("parameters")
    assert parameters is not None
    assert list(parameters["properties"]) == ["task"]
    assert parameters.get("required") == ["task"]
    assert parameters.get("additionalProperties") is False


def test_a_teams_tool_has_a_name_and_description_of_its_own() -> None:
    tool = TeamTool(crew(), "crew", "Two echoes.")
    assert (tool.name, tool.description) == ("crew", "Two echoes.")


async def test_the_answer_of_an_agent_is_its_message_with_its_name() -> None:
    assert await ask(AgentTool(Echo()), "hello") == "echo: hello!"


async def test_the_answer_of_a_team_is_all_that_was_said_without_the_task() -> None:
    assert await ask(TeamTool(crew(), "crew", ""), "hello") == "first: hello!\n\nsecond: hello!!"


async def test_the_answer_may_be_the_last_message_only() -> None:
    assert await ask(AgentTool(Echo(), return_value_as_last_message=True), "hello") == "hello!"
    assert await ask(TeamTool(crew(), "crew", "", return_value_as_last_message=True), "hello") == "hello!!"


def test_events_are_not_part_of_the_answer_and_images_are_named() -> None:
    result = TaskResult(
        messages=[
            says("do", "user"),
            ThoughtEvent(source="a", content="hm"),
            MultiModalMessage(source="a", content=["look"]),
            says("yes", "user"),
        ]
    )
    assert AgentTool(Echo()).return_value_as_string(result) == "a: look\n\nuser: yes"
    assert AgentTool(Echo(), return_value_as_last_message=True).return_value_as_string(result) == "yes"


def test_an_answer_without_a_message_is_empty_or_an_error() -> None:
    nothing = TaskResult(messages=[says("do", "user"), ThoughtEvent(source="a", content="hm")])
    assert AgentTool(Echo()).return_value_as_string(nothing) == ""
    with pytest.raises(ValueError, match="echo ended without a chat message"):
        AgentTool(Echo(), return_value_as_last_message=True).return_value_as_string(nothing)


async def test_the_stream_has_the_events_and_the_result_last() -> None:
    tool = TeamTool(crew(), "crew", "")
    items = [item async for item in tool.run_json_stream({"task": "hello"}, CancellationToken())]
    assert [type(item).__name__ for item in items] == [
        "TextMessage",
        "ThoughtEvent",
        "TextMessage",
        "ThoughtEvent",
        "TextMessage",
        "TaskResult",
    ]
    assert isinstance(items[-1], TaskResult)
    assert list(items[-1].messages) == items[:-1]


async def test_a_workbench_passes_the_events_of_a_tool_on() -> None:
    workbench = StaticStreamWorkbench([AgentTool(Echo())])
    items = [item async for item in workbench.call_tool_stream("echo", {"task": "hello"})]
    assert [type(item).__name__ for item in items] == ["TextMessage", "ThoughtEvent", "TextMessage", "ToolResult"]
    assert items[-1].to_text() == "echo: hello!"


@pytest.mark.parametrize("tool", [AgentTool(Echo("worker")), TeamTool(crew(), "crew", "")], ids=lambda tool: tool.name)
async def test_five_calls_at_once_give_five_unmixed_answers(tool: AgentTool | TeamTool) -> None:
    answers = await asyncio.gather(*(ask(tool, f"task {number}") for number in range(5)))
    for number, answer in enumerate(answers):
        assert {line.split(": ", 1)[1].rstrip("!") for line in answer.splitlines() if line} == {f"task {number}"}


async def test_a_call_that_is_cancelled_lets_the_next_one_through() -> None:
    tool = AgentTool(Echo())
    token = CancellationToken()
    sleeping = asyncio.ensure_future(tool.run_json({"task": "sleep"}, token))
    waiting = asyncio.ensure_future(ask(tool, "hello"))
    await asyncio.sleep(0.01)
    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    assert await waiting == "echo: hello!"


async def test_a_closed_stream_ends_the_work_and_lets_the_next_call_through() -> None:
    closed = asyncio.Event()

    class Talker(Echo):
        async def on_messages_stream(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
            try:
                yield ThoughtEvent(source=self.name, content="hm")
                await asyncio.Event().wait()
            finally:
                closed.set()

    tool = AgentTool(Talker())
    for _ in range(2):
        stream = tool.run_json_stream({"task": "talk"}, CancellationToken())
        async for item in stream:
            if isinstance(item, ThoughtEvent):
                break
        await stream.aclose()
        assert closed.is_set()
        closed.clear()


async def test_what_the_agent_raises_reaches_the_caller_and_the_next_call_works() -> None:
    class Moody(Echo):
        async def on_messages(
            self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
        ) -> Response:
            if messages[-1].to_text() == "fail":
                raise LookupError("not today")
            return await super().on_messages(messages, cancellation_token)

    tool = AgentTool(Moody())
    with pytest.raises(LookupError, match="not today"):
        await ask(tool, "fail")
    assert await ask(tool, "hello") == "echo: hello!"


@pytest.mark.parametrize("arguments", [{}, {"task": 3}, {"job": "x"}])
async def test_a_call_without_a_task_is_refused(arguments: dict[str, Any]) -> None:
    agent = Echo()
    with pytest.raises(ValidationError):
        await AgentTool(agent).run_json(arguments, CancellationToken())
    assert agent.asked == 0


async def test_the_state_of_a_tool_is_that_of_its_runner() -> None:
    tool = AgentTool(Echo())
    await ask(tool, "hello")
    state = await tool.save_state_json()
    assert state == {"asked": 1}
    fresh = Echo()
    await AgentTool(fresh).load_state_json(state)
    assert fresh.asked == 1


@pytest.fixture
def _echo_can_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOGEN_ALLOWED_PROVIDER_NAMESPACES", __name__)


@pytest.mark.usefixtures("_echo_can_be_loaded")
async def test_an_agents_tool_is_saved_with_its_agent_and_works_when_loaded() -> None:
    saved = AgentTool(Echo("worker"), return_value_as_last_message=True).dump_component()
    assert saved.provider == "autogen_agentchat.tools.AgentTool"
    assert saved.component_type == "tool"
    assert sorted(saved.config) == ["agent", "return_value_as_last_message"]
    loaded = AgentTool.load_component(ComponentModel.model_validate_json(saved.model_dump_json()))
    assert loaded.name == "worker"
    assert await ask(loaded, "hello") == "hello!"


@pytest.mark.usefixtures("_echo_can_be_loaded")
async def test_a_teams_tool_is_saved_with_its_team_and_works_when_loaded() -> None:
    saved = TeamTool(crew(), "crew", "Two echoes.").dump_component()
    assert saved.provider == "autogen_agentchat.tools.TeamTool"
    assert sorted(saved.config) == ["description", "name", "return_value_as_last_message", "team"]
    loaded = TeamTool.load_component(ComponentModel.model_validate_json(saved.model_dump_json()))
    assert (loaded.name, loaded.description) == ("crew", "Two echoes.")
    assert await ask(loaded, "hello") == "first: hello!\n\nsecond: hello!!"


class Reporting(ReplayChatCompletionClient):
    """Notes what it reported of each call."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.reported: list[RequestUsage] = []

    async def create(self, *args: Any, **options: Any) -> CreateResult:
        result = await super().create(*args, **options)
        self.reported.append(result.usage)
        return result

    async def create_stream(self, *args: Any, **options: Any) -> AsyncGenerator[str | CreateResult, None]:
        async for item in super().create_stream(*args, **options):
            if isinstance(item, CreateResult):
                self.reported.append(item.usage)
            yield item


@pytest.mark.parametrize("stream", [False, True])
async def test_five_calls_in_one_answer_give_the_parent_their_results_events_and_usage(stream: bool) -> None:
    info = ModelInfo(vision=False, function_calling=True, json_output=True, family="unknown", structured_output=True)
    calls = [FunctionCall(id=str(n), name="worker", arguments=f'{{"task": "task {n}"}}') for n in range(5)]
    usage = RequestUsage(prompt_tokens=3, completion_tokens=2)
    asking = CreateResult(finish_reason="function_calls", content=calls, usage=usage, cached=False)
    boss_model = Reporting([asking, "All done."], info)
    worker_model = Reporting([f"did task {n}" for n in range(5)], info)
    worker = AssistantAgent("worker", worker_model, system_message=None, model_client_stream=stream)
    boss = AssistantAgent("boss", boss_model, tools=[AgentTool(worker)], reflect_on_tool_use=True)
    result = await RoundRobinGroupChat([boss], max_turns=1).run(task="go")

    [execution] = [message for message in result.messages if isinstance(message, ToolCallExecutionEvent)]
    assert [(each.call_id, each.content) for each in execution.content] == [
        (str(n), f"worker: did task {n}") for n in range(5)
    ]
    said = [message.to_text() for message in result.messages if message.source == "worker"]
    assert said == [f"did task {n}" for n in range(5)]
    spent = [message.models_usage for message in result.messages if message.models_usage is not None]
    assert len(spent) == 7
    assert sorted(map(str, spent)) == sorted(map(str, boss_model.reported + worker_model.reported))
