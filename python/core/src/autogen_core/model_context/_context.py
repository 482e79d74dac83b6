"""The contract of a model context: the conversation of an agent, and the view of it that a model gets.

Stands on models' messages and components; must not know how a view is chosen.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from autogen_core._component import ComponentBase
from autogen_core.models._types import LLMMessage


class ChatCompletionContextState(BaseModel):
    """A conversation as data."""

    messages: list[LLMMessage] = Field(default_factory=list[LLMMessage])


class ChatCompletionContext(ABC, ComponentBase[BaseModel]):
    """Keeps a conversation with a model, all of it, and shows the model a part.

    Args:
        initial_messages: The conversation so far. A configuration holds these, not those added later; they are in the
            state.
    """

    component_type = "chat_completion_context"

    def __init__(self, initial_messages: list[LLMMessage] | None = None) -> None:
        self._initial_messages = initial_messages
        self._messages: list[LLMMessage] = list(initial_messages or ())

    async def add_message(self, message: LLMMessage) -> None:
        """Add a message at the end."""
        self._messages.append(message)

    @abstractmethod
    async def get_messages(self) -> list[LLMMessage]:
        """Return what the model shall see, oldest first. The list is the caller's own."""
        ...

    async def clear(self) -> None:
        """Forget the whole conversation, also the initial messages."""
        self._messages = []

    async def save_state(self) -> Mapping[str, Any]:
        """Return the whole conversation as data."""
        return ChatCompletionContextState(messages=self._messages).model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over a conversation that was saved, in place of this one.

        Raises:
            pydantic.ValidationError: It is not a state of a model context. Also a `ValueError`.
        """
        self._messages = ChatCompletionContextState.model_validate(state).messages
