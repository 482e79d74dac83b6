"""`BaseChatAgent`: tasks in, results out, over the one method an agent must write, `on_messages`.

Stands on the contracts in `base` and on messages. Knows no model, no tool and no team.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from pydantic import BaseModel

from autogen_agentchat.agents._gate import PauseGate
from autogen_agentchat.agents._spans import creation_span, run_span
from autogen_agentchat.base import ChatAgent, Response, TaskResult
from autogen_agentchat.base._task import RunCancelledError, task_messages
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, ModelClientStreamingChunkEvent
from autogen_agentchat.state import BaseState
from autogen_core import CancellationToken, ComponentBase
from autogen_core.lowlevel import RunScope


class BaseChatAgent(ChatAgent, ABC, ComponentBase[BaseModel]):
    """The base of agents: derive from it, and write `on_messages`, `on_reset` and `produced_message_types`.

    An agent keeps the conversation itself: each call brings only what is new. Override `on_messages_stream` as well if
    the agent has something to show before it answers.

    Args:
        name: A Python identifier that no other member of the same team has.
        description: What the agent is good at, for whoever chooses the next speaker.

    Raises:
        ValueError: `name` is not an identifier.
    """

    component_type = "agent"

    def __init__(self, name: str, description: str) -> None:
        if not name.isidentifier():
            raise ValueError(
                f"The agent name must be a valid Python identifier, got {name!r}. "
                "Use letters, digits and '_' only, and no digit first."
            )
        self._name = name
        self._description = description
        self._gate = PauseGate()
        with creation_span(self):
            pass

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._name

    @property
    def description(self) -> str:
        """What the agent is good at."""
        return self._description

    @property
    @abstractmethod
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """The types of message that the agent may answer with."""
        ...

    @abstractmethod
    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Answer new messages. `ChatAgent.on_messages` says what callers expect."""
        ...

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        """Answer new messages: the inner messages first, and the response last.

        This one calls `on_messages` and yields what it returned, all at the end.
        """
        response = _checked(self, await self.on_messages(messages, cancellation_token))
        for message in response.inner_messages or ():
            yield message
        yield response

    async def run(
        self,
        *,
        task: str | BaseChatMessage | Sequence[BaseChatMessage] | None = None,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> TaskResult:
        """Give the agent a task and return everything it said.

        Args:
            task: A text from the user, or chat messages. `None` asks the agent to go on with what it knows.
            cancellation_token: Cancel it to end the run at once.
            output_task_messages: Put the task's own messages first in the result.

        Raises:
            TypeError: The task is of another type, or the agent did not return a `Response`.
            ValueError: The task is an empty list.
            asyncio.CancelledError: The token was cancelled. The agent keeps what it had learnt until then. An agent
                that knows what it had said raises a `RunCancelledError`, which has these messages.
        """
        with run_span(self):
            given = task_messages(task)
            output: list[BaseAgentEvent | BaseChatMessage] = list(given) if output_task_messages else []
            try:
                with RunScope(self._name):
                    response = await self.on_messages(given, cancellation_token or CancellationToken())
            except RunCancelledError as error:
                error.messages = [*output, *error.messages]
                raise
            response = _checked(self, response)
            output += [item for item in response.inner_messages or () if not _is_chunk(item)]
            output.append(response.chat_message)
            # nothing to validate: all of it is made of messages
            return TaskResult.model_construct(messages=output, stop_reason=_stop_reason(response))

    async def run_stream(
        self,
        *,
        task: str | BaseChatMessage | Sequence[BaseChatMessage] | None = None,
        cancellation_token: CancellationToken | None = None,
        output_task_messages: bool = True,
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]:
        """Give the agent a task and yield what it says and does as it comes, and the `TaskResult` last.

        Streamed chunks are yielded but are not in the result. The arguments and errors are those of `run`; also:

        Raises:
            TypeError: The agent yielded something that is no message, no event and no `Response`, or went on after it.
            RuntimeError: The agent's stream ended without a `Response`.
            RunCancelledError: The token was cancelled (an `asyncio.CancelledError`).
        """
        with run_span(self):
            given = task_messages(task)
            output: list[BaseAgentEvent | BaseChatMessage] = []
            if output_task_messages:
                for message in given:
                    output.append(message)
                    yield message
            response: Response | None = None
            token = cancellation_token or CancellationToken()
            scope = RunScope(self._name)
            try:
                async with aclosing(self.on_messages_stream(given, token)) as stream:
                    while True:
                        try:
                            with scope:  # not around the yields: the reader of this stream does work of its own
                                item = await anext(stream)
                        except StopAsyncIteration:
                            break
                        if response is not None:
                            raise _unexpected(self, item, "after its Response, which must come last")
                        if isinstance(item, Response):
                            response = item
                            output.append(item.chat_message)
                            yield item.chat_message
                        elif _is_message(item):
                            if not _is_chunk(item):
                                output.append(item)
                            yield item
                        else:
                            raise _unexpected(self, item, "where a chat message, an event or a Response was expected")
            except asyncio.CancelledError as error:
                if not token.is_cancelled():
                    raise
                raise RunCancelledError(output) from error
            if response is None:
                raise RuntimeError(
                    f"Agent {self.name!r} ended its stream without a Response: "
                    "`on_messages_stream` must yield one as its last item."
                )
            yield TaskResult(messages=output, stop_reason=_stop_reason(response))

    @abstractmethod
    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Forget the conversation, as if the agent were new."""
        ...

    async def on_pause(self, cancellation_token: CancellationToken) -> None:
        """Called when the team is paused, maybe while this agent is answering.

        The agents of this package then begin no further model or tool call until `on_resume`.
        """
        self._gate.close()

    async def on_resume(self, cancellation_token: CancellationToken) -> None:
        """Called when the team is resumed."""
        self._gate.open()

    async def save_state(self) -> Mapping[str, Any]:
        """Return the agent's state as JSON data. An agent that remembers anything overrides this."""
        return BaseState().model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up a state that `save_state` returned. An agent that remembers anything overrides this."""
        BaseState.model_validate(state)

    async def close(self) -> None:
        """Free what the agent holds. Does nothing here."""


def _is_message(item: object) -> bool:
    return isinstance(item, BaseChatMessage | BaseAgentEvent)


def _is_chunk(item: object) -> bool:
    return isinstance(item, ModelClientStreamingChunkEvent)


def _stop_reason(response: Response) -> str | None:
    """Why the agent stopped, where it says so: a plain `Response` does not."""
    return getattr(response, "stop_reason", None)


def _checked(agent: ChatAgent, response: object) -> Response:
    if isinstance(response, Response):
        return response
    raise TypeError(
        f"Agent {agent.name!r} returned {type(response).__name__} from `on_messages`, where a Response was expected."
    )


def _unexpected(agent: ChatAgent, item: object, where: str) -> TypeError:
    return TypeError(f"Agent {agent.name!r} yielded {type(item).__name__} from `on_messages_stream` {where}.")
