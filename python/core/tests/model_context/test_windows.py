"""Model contexts: what a model sees of a conversation, and that calls of tools stay with their results."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from autogen_core import CancellationToken, Component, ComponentLoader, FunctionCall
from autogen_core.model_context import (
    BufferedChatCompletionContext,
    ChatCompletionContext,
    HeadAndTailChatCompletionContext,
    TokenLimitedChatCompletionContext,
    UnboundedChatCompletionContext,
)
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    RequestUsage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import Tool, ToolSchema


class CountingConfig(BaseModel):
    size: int


class CountingClient(ChatCompletionClient, Component[CountingConfig]):
    """A client whose context holds `size` tokens: one for each message and tool. It answers nothing."""

    component_type = "model"
    component_config_schema = CountingConfig

    def __init__(self, size: int) -> None:
        self.size = size
        self.counted = 0

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        raise NotImplementedError

    def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = [],
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        raise NotImplementedError

    async def close(self) -> None: ...

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def total_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        self.counted += 1
        return len(messages) + len(tools)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        return self.size - self.count_tokens(messages, tools=tools)

    @property
    def capabilities(self) -> Any:
        return {}

    @property
    def model_info(self) -> ModelInfo:
        raise NotImplementedError

    def _to_config(self) -> CountingConfig:
        return CountingConfig(size=self.size)

    @classmethod
    def _from_config(cls, config: CountingConfig) -> Self:
        return cls(config.size)


def call(*ids: str) -> AssistantMessage:
    return AssistantMessage(content=[FunctionCall(id=id, arguments="{}", name="f") for id in ids], source="a")


def result(*ids: str) -> FunctionExecutionResultMessage:
    return FunctionExecutionResultMessage(
        content=[FunctionExecutionResult(content="r", name="f", call_id=id) for id in ids]
    )


def user(text: str) -> UserMessage:
    return UserMessage(content=text, source="u")


def said(text: str) -> AssistantMessage:
    return AssistantMessage(content=text, source="a")


def shown(messages: Sequence[LLMMessage]) -> str:
    """Write messages in short: texts as they are, calls as >id, results as <id."""
    words: list[str] = []
    for message in messages:
        if isinstance(message, FunctionExecutionResultMessage):
            words.append("<" + "".join(item.call_id for item in message.content))
        elif isinstance(message, AssistantMessage) and not isinstance(message.content, str):
            words.append(">" + "".join(item.id for item in message.content))
        else:
            assert isinstance(message.content, str)
            words.append(message.content.replace(" ", "_"))
    return " ".join(words)


HISTORY: list[LLMMessage] = [
    SystemMessage(content="rules"),
    user("task"),
    call("1"),
    result("1"),
    said("so"),
    user("more"),
    call("2"),
    result("2"),
    said("done"),
]


async def view(context: ChatCompletionContext) -> str:
    return shown(await context.get_messages())


async def test_an_unbounded_context_shows_everything() -> None:
    assert await view(UnboundedChatCompletionContext(HISTORY)) == "rules task >1 <1 so more >2 <2 done"


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, "done"),
        (2, "done"),  # the result's call is further back
        (3, ">2 <2 done"),
        (5, "so more >2 <2 done"),
        (6, "so more >2 <2 done"),
        (7, ">1 <1 so more >2 <2 done"),
        (9, "rules task >1 <1 so more >2 <2 done"),
        (99, "rules task >1 <1 so more >2 <2 done"),
    ],
)
async def test_a_buffered_context_shows_the_end_without_orphaned_results(size: int, expected: str) -> None:
    assert await view(BufferedChatCompletionContext(size, HISTORY)) == expected


@pytest.mark.parametrize(
    ("head", "tail", "expected"),
    [
        (1, 1, "rules Skipped_7_messages. done"),
        (2, 3, "rules task Skipped_4_messages. >2 <2 done"),
        (3, 1, "rules task Skipped_6_messages. done"),  # a call whose result is skipped is skipped, too
        (4, 2, "rules task >1 <1 Skipped_4_messages. done"),
        (4, 5, "rules task >1 <1 so more >2 <2 done"),
    ],
)
async def test_a_head_and_tail_context_shows_both_ends_and_says_what_is_missing(
    head: int, tail: int, expected: str
) -> None:
    assert await view(HeadAndTailChatCompletionContext(head, tail, HISTORY)) == expected


@pytest.mark.parametrize("by_limit", [False, True])
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, "rules"),
        (2, "rules done"),
        (3, "rules task done"),
        (4, "rules task done"),
        (5, "rules task >2 <2 done"),
        (7, "rules task >1 <1 >2 <2 done"),
        (8, "rules task >1 <1 more >2 <2 done"),
        (9, "rules task >1 <1 so more >2 <2 done"),
    ],
)
async def test_a_token_limited_context_leaves_out_from_the_middle(size: int, expected: str, by_limit: bool) -> None:
    client = CountingClient(1000 if by_limit else size)
    context = TokenLimitedChatCompletionContext(
        client, token_limit=size if by_limit else None, initial_messages=HISTORY
    )
    assert await view(context) == expected


async def test_nothing_is_shown_if_nothing_fits() -> None:
    assert await view(TokenLimitedChatCompletionContext(CountingClient(-1), initial_messages=HISTORY)) == ""


async def test_tools_take_tokens_too() -> None:
    tools: list[ToolSchema] = [{"name": "one"}, {"name": "two"}]
    context = TokenLimitedChatCompletionContext(CountingClient(5), tool_schema=tools, initial_messages=HISTORY)
    assert await view(context) == "rules task done"


async def test_a_token_limited_context_counts_a_long_conversation_only_a_few_times() -> None:
    client = CountingClient(10)
    context = TokenLimitedChatCompletionContext(client, initial_messages=[user(str(number)) for number in range(1000)])
    assert len(await context.get_messages()) == 10
    assert client.counted <= 12


@pytest.mark.parametrize("size", [0, -1])
def test_sizes_must_be_positive(size: int) -> None:
    makers = (
        lambda: BufferedChatCompletionContext(size),
        lambda: HeadAndTailChatCompletionContext(size, 1),
        lambda: HeadAndTailChatCompletionContext(1, size),
        lambda: TokenLimitedChatCompletionContext(CountingClient(1), token_limit=size),
    )
    for make in makers:
        with pytest.raises(ValueError, match="must be greater than 0"):
            make()


async def test_a_call_that_waits_for_its_result_is_shown() -> None:
    history: list[LLMMessage] = [user("task"), call("1")]
    for context in (
        BufferedChatCompletionContext(1, history),
        HeadAndTailChatCompletionContext(1, 1, [user("before"), *history]),
        TokenLimitedChatCompletionContext(CountingClient(9), initial_messages=history),
    ):
        assert (await view(context)).endswith(">1")


async def test_results_in_several_messages_stay_with_their_call() -> None:
    history: list[LLMMessage] = [user("task"), call("1", "2"), result("1"), result("2"), said("done")]
    assert await view(BufferedChatCompletionContext(4, history)) == ">12 <1 <2 done"
    assert await view(BufferedChatCompletionContext(3, history)) == "done"
    assert await view(HeadAndTailChatCompletionContext(3, 1, history)) == "task Skipped_3_messages. done"


async def test_ids_that_are_used_again_do_not_confuse_the_pairs() -> None:
    history: list[LLMMessage] = [call("1"), result("1"), said("so"), call("1"), result("1")]
    assert await view(BufferedChatCompletionContext(4, history)) == "so >1 <1"


async def test_messages_between_a_call_and_its_result_keep_their_place() -> None:
    history: list[LLMMessage] = [call("1"), user("hurry"), result("1"), said("done")]
    context = TokenLimitedChatCompletionContext(CountingClient(4), initial_messages=history)
    assert await view(context) == ">1 hurry <1 done"
    assert await view(BufferedChatCompletionContext(3, history)) == "hurry done"


def conversations() -> st.SearchStrategy[list[LLMMessage]]:
    """Make conversations of whole exchanges: texts, and calls with their results in one or more messages."""
    exchange = st.one_of(
        st.sampled_from([[user("u")], [said("a")]]),
        st.sampled_from([[call("1"), result("1")], [call("1", "2"), result("1", "2")]]),
        st.just([call("1", "2"), result("1"), result("2")]),
        st.just([call("1"), user("u"), result("1")]),
    )
    joined = st.lists(exchange, max_size=8).map(lambda parts: [message for part in parts for message in part])
    return joined.map(lambda messages: [SystemMessage(content="s"), user("task"), *messages])


def assert_pairs_are_whole(messages: Sequence[LLMMessage]) -> None:
    waiting: set[str] = set()
    for message in messages:
        if isinstance(message, FunctionExecutionResultMessage):
            ids = {item.call_id for item in message.content}
            assert ids <= waiting, "a result without its call"
            waiting -= ids
        elif isinstance(message, AssistantMessage) and not isinstance(message.content, str):
            waiting |= {item.id for item in message.content}
    assert not waiting, "a call without its result"


@given(messages=conversations(), size=st.integers(1, 12), other=st.integers(1, 12))
def test_no_view_splits_a_call_from_its_results(messages: list[LLMMessage], size: int, other: int) -> None:
    client = CountingClient(size)
    for context in (
        BufferedChatCompletionContext(size, messages),
        HeadAndTailChatCompletionContext(size, other, messages),
        TokenLimitedChatCompletionContext(client, initial_messages=messages),
    ):
        seen = asyncio.run(context.get_messages())
        assert_pairs_are_whole(seen)
        if isinstance(context, TokenLimitedChatCompletionContext):
            assert client.remaining_tokens(seen) >= 0
            if size >= 3:
                assert seen[:2] == messages[:2], "instructions and task go last"


async def test_the_returned_list_belongs_to_the_caller() -> None:
    for context in (UnboundedChatCompletionContext(HISTORY), BufferedChatCompletionContext(99, HISTORY)):
        (await context.get_messages()).clear()
        assert len(await context.get_messages()) == len(HISTORY)


async def test_the_initial_list_is_not_changed() -> None:
    initial: list[LLMMessage] = [user("one")]
    context = UnboundedChatCompletionContext(initial)
    await context.add_message(user("two"))
    assert initial == [user("one")]


async def test_clearing_forgets_everything() -> None:
    context = UnboundedChatCompletionContext(HISTORY)
    await context.clear()
    assert await context.get_messages() == []


async def test_a_state_holds_the_whole_conversation_and_replaces_another() -> None:
    context = BufferedChatCompletionContext(1, [user("one")])
    await context.add_message(call("1"))
    state = await context.save_state()
    assert state == {
        "messages": [
            {"content": "one", "source": "u", "type": "UserMessage"},
            {
                "content": [{"id": "1", "arguments": "{}", "name": "f"}],
                "thought": None,
                "source": "a",
                "type": "AssistantMessage",
            },
        ]
    }
    other = UnboundedChatCompletionContext([user("old")])
    await other.load_state(state)
    assert await view(other) == "one >1"


async def test_what_is_no_state_is_refused_and_changes_nothing() -> None:
    context = UnboundedChatCompletionContext([user("one")])
    with pytest.raises(ValidationError):
        await context.load_state({"messages": [{"type": "Telegram"}]})
    assert await view(context) == "one"


@pytest.mark.parametrize(
    ("context", "config"),
    [
        (UnboundedChatCompletionContext(), {}),
        (UnboundedChatCompletionContext([user("x")]), {"initial_messages": [user("x").model_dump()]}),
        (BufferedChatCompletionContext(3), {"buffer_size": 3}),
        (HeadAndTailChatCompletionContext(2, 3), {"head_size": 2, "tail_size": 3}),
    ],
)
async def test_a_context_round_trips_as_a_component(context: ChatCompletionContext, config: dict[str, Any]) -> None:
    await context.add_message(user("added later"))
    dumped = context.dump_component()
    assert dumped.provider == f"autogen_core.model_context.{type(context).__name__}"
    assert dumped.config == config
    loaded = ComponentLoader.load_component(dumped, ChatCompletionContext)
    assert loaded.dump_component() == dumped
    assert shown(await loaded.get_messages()) == ("x" if config.get("initial_messages") else "")


async def test_a_token_limited_context_round_trips_with_its_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOGEN_ALLOWED_PROVIDER_NAMESPACES", __name__)
    tools: list[ToolSchema] = [{"name": "one"}]
    context = TokenLimitedChatCompletionContext(
        CountingClient(4), token_limit=3, tool_schema=tools, initial_messages=HISTORY
    )
    loaded = ComponentLoader.load_component(context.dump_component(), ChatCompletionContext)
    assert await view(loaded) == "rules done"
