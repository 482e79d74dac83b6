"""The contract of an agent that takes part in conversations. Stands on tasks and messages; knows no team and no runtime."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SerializeAsAny

from autogen_agentchat.base._task import TaskRunner
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_core import CancellationToken, ComponentBase


@dataclass(kw_only=True)
class Response:
    """What an agent answers to the messages it was given."""

    chat_message: SerializeAsAny[BaseChatMessage]
    """The answer itself, which goes to the others."""

    inner_messages: Sequence[SerializeAsAny[BaseAgentEvent | BaseChatMessage]] | None = None
    """What it did on the way, tool calls and the like, in order. Others do not receive these."""


class ChatAgent(ABC, TaskRunner, ComponentBase[BaseModel]):
    """The contract of an agent.

    An agent keeps the conversation itself: it is given only the messages that are new since it was last called. Derive
    from `autogen_agentchat.agents.BaseChatAgent`, which implements the greater part of this.
    """

    component_type = "agent"

    @property
    @abstractmethod
    def name(self) -> str:
        """A Python identifier that no other member of the same team has."""
        ...

    @property
    @abstractmethod
    def description(self) -> str:
        """What the agent is good at, for whoever chooses the next speaker."""
        ...

    @property
    @abstractmethod
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The types of message that `Response.chat_message` may have."""
        ...

    @abstractmethod
    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Answer new messages.

        Args:
            messages: The messages since the last call, oldest first; may be empty.
            cancellation_token: When cancelled, the agent gives up and raises `asyncio.CancelledError`.
        """
        ...

    @abstractmethod
    def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        """Answer new messages, and yield inner messages and events as they come, and the response last."""
        ...

    @abstractmethod
    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Forget the conversation, as if the agent were new."""
        ...

    @abstractmethod
    async def on_pause(self, cancellation_token: CancellationToken) -> None:
        """Hold on: the team was paused, maybe while this agent is answering."""
        ...

    @abstractmethod
    async def on_resume(self, cancellation_token: CancellationToken) -> None:
        """Go on: the team was resumed."""
        ...

    @abstractmethod
    async def save_state(self) -> Mapping[str, Any]:
        """Return the conversation as JSON data for `load_state`."""
        ...

    @abstractmethod
    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Replace the conversation with one that `save_state` returned."""
        ...

    @abstractmethod
    async def close(self) -> None:
        """Free what the agent holds. It is not used afterwards."""
        ...
