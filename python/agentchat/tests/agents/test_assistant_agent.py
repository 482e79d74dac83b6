"""Making, saving and loading an assistant agent."""

import json
from typing import Any, cast

import pytest
from pydantic import BaseModel, ValidationError

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import Handoff
from autogen_agentchat.messages import HandoffMessage, StructuredMessage, TextMessage, ToolCallSummaryMessage
from autogen_core import CancellationToken
from autogen_core.memory import ListMemory
from autogen_core.model_context import BufferedChatCompletionContext
from autogen_core.models import ModelInfo
from autogen_core.tools import FunctionTool, StaticStreamWorkbench, StaticWorkbench
from autogen_ext.models.replay import ReplayChatCompletionClient

from .scripted import ADD, Model, add, agent, call, calls, history, remembers, text, turn

NO_FUNCTIONS = ModelInfo(
    vision=False, function_calling=False, json_output=False, family="unknown", structured_output=False
)


class Answer(BaseModel):
    word: str
    number: int = 0


def make(model: ReplayChatCompletionClient | None = None, name: str = "bob", **options: Any) -> AssistantAgent:
    return AssistantAgent(name, model or Model("x"), **options)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"name": "two words"}, "must be a valid Python identifier"),
        ({"tools": [add, add]}, "Tool names must be unique"),
        ({"handoffs": ["ann", "ann"]}, "Handoff names must be unique"),
        (
            {"tools": [FunctionTool(add, "d", name="transfer_to_ann")], "handoffs": ["ann"]},
            "Handoff names must be unique from tool names",
        ),
        ({"tools": [add], "workbench": StaticWorkbench([])}, "Tools cannot be used with a workbench"),
        ({"tools": [3]}, "Unsupported tool type: <class 'int'>"),
        ({"handoffs": [3]}, "Unsupported handoff type: <class 'int'>"),
        ({"max_tool_iterations": 0}, "Maximum number of tool iterations must be greater than or equal to 1, got 0"),
        ({"tool_call_summary_format": "{nope}"}, "cannot be filled in"),
        ({"tool_call_summary_format": "{"}, "cannot be filled in"),
    ],
)
def test_what_cannot_work_is_refused_at_once(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make(**options)


@pytest.mark.parametrize("options", [{"tools": [add]}, {"tools": []}, {"handoffs": ["ann"]}])
def test_a_model_without_functions_gets_no_tools(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="The model does not support function calling"):
        make(ReplayChatCompletionClient(["x"], NO_FUNCTIONS), **options)


def test_a_single_memory_must_be_in_a_list() -> None:
    with pytest.raises(TypeError, match=r"Expected Memory, List\[Memory\], or None"):
        make(memory=cast("list[Any]", ListMemory()))


async def test_functions_become_tools_with_name_and_docstring() -> None:
    class Calculator:
        async def double(self, a: int) -> int:
            """Double it."""
            return 2 * a

    model = Model("x")
    await turn(agent(model, tools=[add, Calculator().double]))
    described = [(tool["name"], tool["description"]) for tool in model.options[0]["tools"]]
    assert described == [("add", "Add."), ("double", "Double it.")]


@pytest.mark.parametrize(("options", "expected"), [({}, False), ({"output_content_type": Answer}, True)])
async def test_reflection_is_on_by_default_only_with_structured_output(options: dict[str, Any], expected: bool) -> None:
    config = make(**options).dump_component().config
    assert config["reflect_on_tool_use"] is expected
    assert (
        make(reflect_on_tool_use=not expected, **options).dump_component().config["reflect_on_tool_use"] is not expected
    )


def test_the_default_system_message_asks_for_the_word_that_ends_a_conversation() -> None:
    """Programs written for 0.7.5 end with `TextMentionTermination("TERMINATE")` and rely on the default to say it."""
    assert "TERMINATE" in make().dump_component().config["system_message"]


def test_the_produced_types_tell_of_structured_output() -> None:
    plain = [TextMessage, ToolCallSummaryMessage, HandoffMessage]
    assert make().produced_message_types == plain
    assert make(output_content_type=Answer).produced_message_types == [*plain, StructuredMessage[Answer]]


# --- saving and loading the conversation ---


async def test_a_saved_conversation_loads_through_json_and_goes_on() -> None:
    bob = agent(calls(ADD), "one", tools=[add], max_tool_iterations=2)
    await turn(bob)
    state = json.loads(json.dumps(await bob.save_state()))
    assert (state["type"], state["version"]) == ("AssistantAgentState", "1.0.0")
    model = Model("two")
    other = agent(model)
    for _ in range(2):
        await other.load_state(state)
    assert await other.save_state() == state
    await turn(other, text("and?"))
    assert model.requests == [["system: S", *await history(bob), "user: and?"]]


async def test_a_state_of_0_7_5_loads() -> None:
    bob = agent("x")
    await bob.load_state(
        {
            "type": "AssistantAgentState",
            "version": "1.0.0",
            "llm_context": {
                "messages": [
                    {"content": "t", "source": "user", "type": "UserMessage"},
                    {"content": "x", "thought": None, "source": "bob", "type": "AssistantMessage"},
                ]
            },
        }
    )
    assert await history(bob) == ["user: t", "bob> x"]


async def test_a_broken_state_is_refused_and_changes_nothing() -> None:
    bob = agent("x")
    await turn(bob)
    before = await history(bob)
    with pytest.raises(ValidationError):
        await bob.load_state({"llm_context": {"messages": [{"type": "nonsense"}]}})
    assert await history(bob) == before


async def test_reset_forgets_the_conversation_but_not_the_memory() -> None:
    model = Model("one", "two")
    bob = agent(model, memory=[remembers("likes tea")])
    await turn(bob)
    await bob.on_reset(CancellationToken())
    assert await history(bob) == []
    await turn(bob, text("again"))
    assert model.requests[1][:2] == ["system: S", "user: again"]
    assert "likes tea" in model.requests[1][2]


# --- components ---


def again(bob: AssistantAgent) -> AssistantAgent:
    """Dump, pass through JSON, load. The models of these tests are loaded as the class they are derived from."""
    return AssistantAgent.load_component(json.loads(bob.dump_component().model_dump_json()))


FULL: dict[str, Any] = {
    "description": "adds",
    "handoffs": ["ann", Handoff(target="carl", message="over")],
    "metadata": {"a": "b"},
    "memory": [remembers("likes tea")],
    "model_context": BufferedChatCompletionContext(3),
    "max_tool_iterations": 4,
    "output_content_type": Answer,
    "output_content_type_format": "{word}",
    "system_message": None,
    "model_client_stream": True,
    "tool_call_summary_format": "{tool_name}: {result}",
}


def test_the_config_has_the_form_of_0_7_5() -> None:
    dumped = make(**FULL).dump_component()
    assert (dumped.provider, dumped.component_type, dumped.component_version) == (
        "autogen_agentchat.agents.AssistantAgent",
        "agent",
        2,
    )
    config = dumped.config
    assert list(config) == [
        *("name", "model_client", "workbench", "handoffs", "model_context", "memory", "description"),
        *("model_client_stream", "reflect_on_tool_use", "tool_call_summary_format", "max_tool_iterations"),
        *("metadata", "structured_message_factory"),
    ]
    assert config["workbench"][0]["provider"] == "autogen_core.tools.StaticStreamWorkbench"
    assert config["handoffs"][1]["message"] == "over"
    factory = config["structured_message_factory"]
    assert factory["provider"] == "autogen_agentchat.messages.StructuredMessageFactory"
    assert factory["config"]["format_string"] == "{word}"
    assert factory["config"]["content_model_name"] == "Answer"


@pytest.mark.parametrize("options", [{}, FULL, {"workbench": [StaticWorkbench([]), StaticStreamWorkbench([])]}])
def test_a_loaded_agent_dumps_the_same(options: dict[str, Any]) -> None:
    def config(bob: AssistantAgent) -> dict[str, Any]:
        dumped = bob.dump_component().config
        return {**dumped, "model_client": {**dumped["model_client"], "label": ""}}

    bob = make(ReplayChatCompletionClient(["x"], Model("x").model_info), **options)
    assert config(again(bob)) == config(bob)


async def test_a_loaded_agent_behaves_the_same() -> None:
    for options, answer in (({}, "hello"), (FULL, '{"word": "hello"}')):
        for bob in (make(Model(answer), **options), again(make(Model(answer), **options))):
            last = (await bob.run(task="hi")).messages[-1]
            assert last.to_text() == "hello"
            assert type(last).__name__ == ("StructuredMessage[Answer]" if options else "TextMessage")


async def test_two_agents_made_from_one_config_share_nothing() -> None:
    dumped = make(Model("x"), handoffs=["ann"], metadata={"a": "b"}, memory=[remembers("likes tea")]).dump_component()
    first, second = (AssistantAgent.load_component(dumped) for _ in range(2))
    await first.run(task="hi")
    assert await history(second) == []
    assert await history(first) != []
    for attribute in ("_model_context", "_workbench", "_handoffs", "_memory", "_metadata", "_system_messages"):
        assert getattr(first, attribute) is not getattr(second, attribute)


def test_version_1_of_the_config_had_a_single_workbench() -> None:
    dumped = make(ReplayChatCompletionClient(["x"])).dump_component().model_dump()
    dumped["config"]["workbench"] = dumped["config"]["workbench"][0]
    dumped["component_version"] = 1
    assert len(AssistantAgent.load_component(dumped).dump_component().config["workbench"]) == 1


def test_tools_and_workbench_in_one_config_exclude_each_other() -> None:
    dumped = make(ReplayChatCompletionClient(["x"], Model("x").model_info), tools=[add]).dump_component().model_dump()
    config = dumped["config"]
    tools = config["workbench"][0]["config"]["tools"]
    with pytest.raises(ValueError, match="Tools cannot be used with a workbench"):
        AssistantAgent.load_component({**dumped, "config": {**config, "tools": tools}}, allow_source_code=True)
    del config["workbench"]
    loaded = AssistantAgent.load_component({**dumped, "config": {**config, "tools": tools}}, allow_source_code=True)
    assert [tool.name for tool in loaded._tools] == ["add"]


async def test_what_is_changed_on_the_agent_counts_from_the_next_turn_on() -> None:
    model = Model("one", "two")
    bob = agent(model)
    await turn(bob)
    bob._system_messages.clear()
    await turn(bob)
    assert [request[0] for request in model.requests] == ["system: S", "user: hello"]


async def test_the_call_of_a_handoff_is_offered_with_its_description() -> None:
    model = Model(calls(call("to_ann")))
    bob = agent(model, handoffs=[Handoff(target="ann", name="to_ann", description="for refunds")])
    await turn(bob)
    [tool] = model.options[0]["tools"]
    assert (tool["name"], tool["description"]) == ("to_ann", "for refunds")
