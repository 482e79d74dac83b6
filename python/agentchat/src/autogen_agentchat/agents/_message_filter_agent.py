"""`MessageFilterAgent`: shows another agent a part of the messages only. Stands on `BaseChatAgent`; knows no other agent."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from autogen_agentchat.agents._base_chat_agent import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.state import BaseState
from autogen_core import CancellationToken, Component, ComponentModel


class PerSourceFilter(BaseModel):
    """What to let through from one sender: all its messages, or the first or last few."""

    model_config = ConfigDict(defer_build=True)

    source: str
    """The sender."""

    position: Literal["first", "last"] | None = None
    """From which end to count; `None` lets all through."""

    count: int | None = None
    """How many to let through; `None` or 0 for all."""

    def select(self, messages: Sequence[BaseChatMessage]) -> Sequence[BaseChatMessage]:
        """Return those of this sender that pass, in their order."""
        own = [message for message in messages if message.source == self.source]
        if not self.count or self.position is None:
            return own
        return own[: self.count] if self.position == "first" else own[-self.count :]


class MessageFilterConfig(BaseModel):
    """What to let through. Senders that are not named are left out."""

    model_config = ConfigDict(defer_build=True)

    per_source: list[PerSourceFilter]
    """One entry for each sender, in the order in which their messages are to be shown."""


class MessageFilterAgentConfig(BaseModel):
    """The saved form of a `MessageFilterAgent`."""

    model_config = ConfigDict(defer_build=True)

    name: str
    wrapped_agent: ComponentModel
    filter: MessageFilterConfig


class MessageFilterAgentState(BaseState):
    """The state of a `MessageFilterAgent`: that of the agent in it."""

    type: str = Field(default="MessageFilterAgentState")
    wrapped_agent_state: Mapping[str, Any] | None = None


class MessageFilterAgent(BaseChatAgent, Component[MessageFilterAgentConfig]):
    """Stands in for an agent and shows it only the messages that pass a filter.

    The messages are grouped by sender, in the order of the filter's entries. Everything else goes to the wrapped agent
    as it is, and its answers come back under its own name.

    Args:
        name: The name in the team.
        wrapped_agent: The agent that answers.
        filter: What it is shown.
    """

    component_config_schema = MessageFilterAgentConfig
    component_provider_override = "autogen_agentchat.agents.MessageFilterAgent"

    def __init__(self, name: str, wrapped_agent: BaseChatAgent, filter: MessageFilterConfig) -> None:
        super().__init__(name=name, description=f"{wrapped_agent.description} (with message filtering)")
        self._wrapped_agent = wrapped_agent
        self._filter = filter

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """Those of the wrapped agent."""
        return self._wrapped_agent.produced_message_types

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Let the wrapped agent answer what passes the filter."""
        return await self._wrapped_agent.on_messages(self._select(messages), cancellation_token)

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        """Let the wrapped agent answer what passes the filter, and yield what it yields."""
        stream = self._wrapped_agent.on_messages_stream(self._select(messages), cancellation_token)
        async with aclosing(stream):
            async for item in stream:
                yield item

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Reset the wrapped agent."""
        await self._wrapped_agent.on_reset(cancellation_token)

    async def on_pause(self, cancellation_token: CancellationToken) -> None:
        """Tell the wrapped agent."""
        await self._wrapped_agent.on_pause(cancellation_token)

    async def on_resume(self, cancellation_token: CancellationToken) -> None:
        """Tell the wrapped agent."""
        await self._wrapped_agent.on_resume(cancellation_token)

    async def save_state(self) -> Mapping[str, Any]:
        """Return the wrapped agent's state."""
        return MessageFilterAgentState(wrapped_agent_state=await self._wrapped_agent.save_state()).model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Hand the wrapped agent its state. A state of 0.7.5 holds none, and changes nothing."""
        saved = MessageFilterAgentState.model_validate(state).wrapped_agent_state
        if saved is not None:
            await self._wrapped_agent.load_state(saved)

    async def close(self) -> None:
        """Close the wrapped agent."""
        await self._wrapped_agent.close()

    def _select(self, messages: Sequence[BaseChatMessage]) -> Sequence[BaseChatMessage]:
        return [message for entry in self._filter.per_source for message in entry.select(messages)]

    def _to_config(self) -> MessageFilterAgentConfig:
        return MessageFilterAgentConfig(
            name=self.name, wrapped_agent=self._wrapped_agent.dump_component(), filter=self._filter
        )

    @classmethod
    def _from_config(cls, config: MessageFilterAgentConfig) -> Self:
        wrapped = BaseChatAgent.load_component(config.wrapped_agent)
        return cls(name=config.name, wrapped_agent=wrapped, filter=config.filter)
