"""`UserProxyAgent`: a human in the conversation, asked through a function. Stands on `BaseChatAgent`; knows no console."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from typing import Any, Self
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from autogen_agentchat.agents._base_chat_agent import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.base._input import InputFunc, ask_human
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    HandoffMessage,
    TextMessage,
    UserInputRequestedEvent,
)
from autogen_core import CancellationToken, Component

_PROMPT = "Enter your response: "
_request_id: ContextVar[str] = ContextVar("autogen_agentchat_input_request_id")


class UserProxyAgentConfig(BaseModel):
    """The saved form of a `UserProxyAgent`."""

    model_config = ConfigDict(defer_build=True)

    name: str
    description: str = "A human user"
    input_func: str | None = None


class UserProxyAgent(BaseChatAgent, Component[UserProxyAgentConfig]):
    """Asks a human for each answer, and waits for it as long as it takes.

    Just before asking it yields a `UserInputRequestedEvent`, whose `request_id` the input function can read with
    `UserProxyAgent.InputRequestContext.request_id()`. Whom another agent hands over to it answers with a handoff back.

    Args:
        name: A Python identifier that no other member of the same team has.
        description: Who the human is, for whoever chooses the next speaker.
        input_func: Takes the prompt, and if it is a coroutine function the cancellation token, and returns the answer.
            A plain function runs in a thread of its own, so it may block. By default the built-in `input`. It is not
            saved with the agent.

    Raises:
        TypeError: `input_func` cannot be called.
    """

    component_config_schema = UserProxyAgentConfig
    component_provider_override = "autogen_agentchat.agents.UserProxyAgent"

    class InputRequestContext:
        """Tells an input function which request it is to answer. A namespace: there are no instances of it."""

        def __init__(self) -> None:
            raise RuntimeError(
                "InputRequestContext cannot be instantiated. "
                "Call InputRequestContext.request_id() in the input function of a UserProxyAgent."
            )

        @classmethod
        @contextmanager
        def populate_context(cls, ctx: str) -> Generator[None, Any, None]:
            """Make `ctx` the id of the request for whatever runs in this context."""
            reset = _request_id.set(ctx)
            try:
                yield
            finally:
                _request_id.reset(reset)

        @classmethod
        def request_id(cls) -> str:
            """Return the `request_id` of the `UserInputRequestedEvent` that is being answered.

            Raises:
                RuntimeError: Called from elsewhere than an input function.
            """
            try:
                return _request_id.get()
            except LookupError:
                raise RuntimeError(
                    "InputRequestContext.request_id() must be called within the input function of a UserProxyAgent."
                ) from None

    def __init__(self, name: str, *, description: str = "A human user", input_func: InputFunc | None = None) -> None:
        super().__init__(name=name, description=description)
        chosen: object = input_func or input
        if not callable(chosen):
            raise TypeError(f"input_func must be a function of the prompt, got {type(chosen).__name__}.")
        self.input_func: InputFunc = input_func or input

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The types of message that the agent may answer with."""
        return (TextMessage, HandoffMessage)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Ask the human.

        Raises:
            RuntimeError: The input function failed (its error is the cause), or the last message hands over to another.
            asyncio.CancelledError: The token was cancelled.
        """
        response: Response | None = None
        async with aclosing(self.on_messages_stream(messages, cancellation_token)) as stream:
            async for item in stream:
                if isinstance(item, Response):
                    response = item
        if response is None:
            raise AssertionError("The stream should have returned the final result.")
        return response

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        """Yield the request for input, and the human's answer as the response."""
        handoff = self._handoff_to_answer(messages)
        prompt = f"Handoff received from {handoff.source}. {_PROMPT}" if handoff is not None else _PROMPT
        request_id = str(uuid4())
        yield UserInputRequestedEvent(request_id=request_id, source=self.name)
        answer = await self._ask(prompt, request_id, cancellation_token)
        if handoff is not None:
            yield Response(chat_message=HandoffMessage(content=answer, target=handoff.source, source=self.name))
        else:
            yield Response(chat_message=TextMessage(content=answer, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken | None = None) -> None:
        """Do nothing: the human remembers."""

    def _handoff_to_answer(self, messages: Sequence[BaseChatMessage]) -> HandoffMessage | None:
        if not messages or not isinstance(messages[-1], HandoffMessage):
            return None
        if messages[-1].target != self.name:
            raise RuntimeError(
                f"Handoff message target does not match agent name: {messages[-1].source} handed over to "
                f"{messages[-1].target}, and this is {self.name}."
            )
        return messages[-1]

    async def _ask(self, prompt: str, request_id: str, token: CancellationToken) -> str:
        answer: object
        try:
            with UserProxyAgent.InputRequestContext.populate_context(request_id):
                work = asyncio.ensure_future(ask_human(self.input_func, prompt, token))
            answer = await token.link_future(work)
        except Exception as error:
            raise RuntimeError(f"Failed to get user input: {error}") from error
        if not isinstance(answer, str):
            raise RuntimeError(f"Failed to get user input: expected a str, got {type(answer).__name__}.")
        return answer

    def _to_config(self) -> UserProxyAgentConfig:
        return UserProxyAgentConfig(name=self.name, description=self.description)

    @classmethod
    def _from_config(cls, config: UserProxyAgentConfig) -> Self:
        return cls(name=config.name, description=config.description)
