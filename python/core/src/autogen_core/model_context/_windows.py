"""Model contexts that show all of a conversation, or its end, both ends, or what fits. Stands on the contract.

One rule holds for all that leave out messages: a call of tools is shown with its results or not at all, so a view may be
shorter than asked for. Nothing is ever removed from the conversation itself, nor from its state.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict

from autogen_core._component import Component, ComponentModel
from autogen_core.models._client import ChatCompletionClient
from autogen_core.models._types import LLMMessage, UserMessage
from autogen_core.tools._schema import ToolSchema

from ._context import ChatCompletionContext
from ._pairs import group_of_each, without_halves


class UnboundedChatCompletionContextConfig(BaseModel):
    """An unbounded context as data."""

    model_config = ConfigDict(defer_build=True)

    initial_messages: list[LLMMessage] | None = None


class UnboundedChatCompletionContext(ChatCompletionContext, Component[UnboundedChatCompletionContextConfig]):
    """Shows the whole conversation."""

    component_config_schema = UnboundedChatCompletionContextConfig
    component_provider_override = "autogen_core.model_context.UnboundedChatCompletionContext"

    async def get_messages(self) -> list[LLMMessage]:
        """Return all messages."""
        return list(self._messages)

    def _to_config(self) -> UnboundedChatCompletionContextConfig:
        return UnboundedChatCompletionContextConfig(initial_messages=self._initial_messages)

    @classmethod
    def _from_config(cls, config: UnboundedChatCompletionContextConfig) -> Self:
        return cls(initial_messages=config.initial_messages)


class BufferedChatCompletionContextConfig(BaseModel):
    """A buffered context as data."""

    model_config = ConfigDict(defer_build=True)

    buffer_size: int
    initial_messages: list[LLMMessage] | None = None


class BufferedChatCompletionContext(ChatCompletionContext, Component[BufferedChatCompletionContextConfig]):
    """Shows the last messages.

    Args:
        buffer_size: How many messages to show at most. Fewer are shown if the first of them would be results whose call
            is further back.
        initial_messages: The conversation so far.

    Raises:
        ValueError: `buffer_size` is not positive.
    """

    component_config_schema = BufferedChatCompletionContextConfig
    component_provider_override = "autogen_core.model_context.BufferedChatCompletionContext"

    def __init__(self, buffer_size: int, initial_messages: list[LLMMessage] | None = None) -> None:
        super().__init__(initial_messages)
        self._buffer_size = _positive("buffer_size", buffer_size)

    async def get_messages(self) -> list[LLMMessage]:
        """Return the last messages."""
        return without_halves(self._messages[-self._buffer_size :], open_end=True)

    def _to_config(self) -> BufferedChatCompletionContextConfig:
        return BufferedChatCompletionContextConfig(
            buffer_size=self._buffer_size, initial_messages=self._initial_messages
        )

    @classmethod
    def _from_config(cls, config: BufferedChatCompletionContextConfig) -> Self:
        return cls(**dict(config))


class HeadAndTailChatCompletionContextConfig(BaseModel):
    """A head-and-tail context as data."""

    model_config = ConfigDict(defer_build=True)

    head_size: int
    tail_size: int
    initial_messages: list[LLMMessage] | None = None


class HeadAndTailChatCompletionContext(ChatCompletionContext, Component[HeadAndTailChatCompletionContextConfig]):
    """Shows the first and the last messages, and between them says how many there are that it does not show.

    Args:
        head_size: How many of the first messages to show at most.
        tail_size: How many of the last messages to show at most.
        initial_messages: The conversation so far.

    Raises:
        ValueError: A size is not positive.
    """

    component_config_schema = HeadAndTailChatCompletionContextConfig
    component_provider_override = "autogen_core.model_context.HeadAndTailChatCompletionContext"

    def __init__(self, head_size: int, tail_size: int, initial_messages: list[LLMMessage] | None = None) -> None:
        super().__init__(initial_messages)
        self._head_size = _positive("head_size", head_size)
        self._tail_size = _positive("tail_size", tail_size)

    async def get_messages(self) -> list[LLMMessage]:
        """Return the first messages, a note, and the last messages; all of them without a note if they are few."""
        if len(self._messages) <= self._head_size + self._tail_size:
            return without_halves(self._messages, open_end=True)
        head = without_halves(self._messages[: self._head_size], open_end=False)
        tail = without_halves(self._messages[-self._tail_size :], open_end=True)
        skipped = len(self._messages) - len(head) - len(tail)
        return [*head, UserMessage(content=f"Skipped {skipped} messages.", source="System"), *tail]

    def _to_config(self) -> HeadAndTailChatCompletionContextConfig:
        return HeadAndTailChatCompletionContextConfig(
            head_size=self._head_size, tail_size=self._tail_size, initial_messages=self._initial_messages
        )

    @classmethod
    def _from_config(cls, config: HeadAndTailChatCompletionContextConfig) -> Self:
        return cls(**dict(config))


class TokenLimitedChatCompletionContextConfig(BaseModel):
    """A token-limited context as data."""

    model_config = ConfigDict(defer_build=True)

    model_client: ComponentModel
    token_limit: int | None = None
    tool_schema: list[ToolSchema] | None = None
    initial_messages: list[LLMMessage] | None = None


class TokenLimitedChatCompletionContext(ChatCompletionContext, Component[TokenLimitedChatCompletionContextConfig]):
    """Shows as much as fits into a number of tokens, leaving out from the middle.

    The instructions and the task at the beginning and the newest messages at the end go last. What is left out at a time
    is the message in the middle, with the results that belong to it if it is a call of tools.

    The client is asked for the tokens of about log2(n) views of n messages, on the understanding that a shorter view
    never takes more tokens.

    Args:
        model_client: The client that counts tokens.
        token_limit: How many tokens the messages may take; `None` asks the client how many remain.
        tool_schema: Tools that go with each request and take tokens, too.
        initial_messages: The conversation so far.

    Raises:
        ValueError: `token_limit` is not positive.
    """

    component_config_schema = TokenLimitedChatCompletionContextConfig
    component_provider_override = "autogen_core.model_context.TokenLimitedChatCompletionContext"

    def __init__(
        self,
        model_client: ChatCompletionClient,
        *,
        token_limit: int | None = None,
        tool_schema: list[ToolSchema] | None = None,
        initial_messages: list[LLMMessage] | None = None,
    ) -> None:
        super().__init__(initial_messages)
        self._token_limit = None if token_limit is None else _positive("token_limit", token_limit)
        self._model_client = model_client
        self._tool_schema = tool_schema or []

    async def get_messages(self) -> list[LLMMessage]:
        """Return what fits."""
        groups = group_of_each(self._messages, open_end=True)
        whole = [message for message, group in zip(self._messages, groups, strict=True) if group is not None]
        if self._fits(whole):
            return whole
        order = _from_the_middle(groups)

        def view(without: int) -> list[LLMMessage]:
            shown = set(order[without:])
            return [message for message, group in zip(self._messages, groups, strict=True) if group in shown]

        return view(bisect_left(range(len(order)), x=True, lo=1, key=lambda without: self._fits(view(without))))

    def _fits(self, messages: Sequence[LLMMessage]) -> bool:
        if self._token_limit is None:
            return self._model_client.remaining_tokens(messages, tools=self._tool_schema) >= 0
        return self._model_client.count_tokens(messages, tools=self._tool_schema) <= self._token_limit

    def _to_config(self) -> TokenLimitedChatCompletionContextConfig:
        return TokenLimitedChatCompletionContextConfig(
            model_client=self._model_client.dump_component(),
            token_limit=self._token_limit,
            tool_schema=self._tool_schema,
            initial_messages=self._initial_messages,
        )

    @classmethod
    def _from_config(cls, config: TokenLimitedChatCompletionContextConfig) -> Self:
        return cls(
            model_client=ChatCompletionClient.load_component(config.model_client),
            token_limit=config.token_limit,
            tool_schema=config.tool_schema,
            initial_messages=config.initial_messages,
        )


def _from_the_middle(groups: Sequence[int | None]) -> list[int]:
    """Return groups of messages in the order they are left out: always the group of the message in the middle."""
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        if group is not None:
            members.setdefault(group, []).append(index)
    remaining = [index for index, group in enumerate(groups) if group is not None]
    order: list[int] = []
    while remaining:
        group = groups[remaining[len(remaining) // 2]]
        assert group is not None
        order.append(group)
        for index in members[group]:
            del remaining[bisect_left(remaining, index)]
    return order


def _positive(name: str, value: int) -> int:
    if value <= 0:
        raise ValueError(f"{name} must be greater than 0, but is {value}.")
    return value
