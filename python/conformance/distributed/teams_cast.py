"""Who plays in the scenarios for teams, and on which runtime: the same play, with the participants here or on another worker.

Also what of a run can be compared with another's: everything but ids and times. Stands on public names; knows no scenario.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Literal, cast
from uuid import uuid4

from pydantic import BaseModel

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import ChatAgent, Response, TaskResult
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    HandoffMessage,
    ModelClientStreamingChunkEvent,
    TextMessage,
)
from autogen_agentchat.remote import RemoteAgent, serve_agent
from autogen_core import (
    AgentId,
    AgentRuntime,
    CancellationToken,
    DefaultInterventionHandler,
    DropMessage,
    FunctionCall,
    MessageContext,
)
from autogen_core.models import CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema
from autogen_ext.models.replay import ReplayChatCompletionClient

Item = BaseAgentEvent | BaseChatMessage
Facts = list[Any]
"""What a scenario tells of itself, to be compared with another runtime's."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Cast:
    """Seats participants.

    Args:
        runtime: The runtime for the teams; None: each has one of its own, and all is in this process.
        worker: The runtime that serves the participants; None: they are in the team's process.
    """

    def __init__(self, runtime: AgentRuntime | None = None, worker: AgentRuntime | None = None) -> None:
        self.runtime = runtime
        self._worker = worker

    @property
    def served(self) -> bool:
        """Whether the participants are behind `RemoteAgent`s."""
        return self._worker is not None

    async def seat(self, make: Callable[[], ChatAgent], *own_types: type[Item]) -> ChatAgent:
        """Return what `make` makes, or what stands for it.

        Args:
            make: Makes the participant.
            own_types: The message types of its own that it hears, answers with, or shows.
        """
        model = make()
        if self._worker is None:
            return model
        agent_type = f"{model.name}_{uuid4().hex}"
        heard = [one for one in own_types if one not in model.produced_message_types]
        await serve_agent(self._worker, agent_type, make, custom_message_types=heard)
        assert self.runtime is not None
        return RemoteAgent(
            model.name,
            description=model.description,
            runtime=self.runtime,
            agent_type=agent_type,
            custom_message_types=own_types,
        )


async def play(stream: AsyncGenerator[Item | TaskResult, None]) -> Facts:
    """Run a stream to its end and return its items, and of the result what they do not say. No item comes twice."""
    items: list[Item] = []
    result: TaskResult | None = None
    async for item in stream:
        assert result is None
        if isinstance(item, TaskResult):
            result = item
        else:
            items.append(item)
    assert result is not None
    ids = [item.id for item in items]
    assert len(ids) == len(set(ids))
    lasting = [item.id for item in items if not isinstance(item, ModelClientStreamingChunkEvent)]
    assert [item.id for item in result.messages] == lasting
    return [*facts(items), result.stop_reason]


def facts(items: Sequence[Item]) -> Facts:
    """Return what is the same in each run."""
    return [comparable(item.dump()) for item in items]


def comparable(data: object) -> Any:
    """Take ids and times out of JSON data."""
    if isinstance(data, Mapping):
        mapping = cast("Mapping[str, Any]", data)
        return {name: comparable(value) for name, value in mapping.items() if name not in {"id", "created_at"}}
    if isinstance(data, list | tuple):
        return [comparable(value) for value in cast("Sequence[Any]", data)]
    return _UUID.sub("<id>", data) if isinstance(data, str) else data


def texts(said: Facts) -> list[str]:
    """Return who said what, of the chat messages in a run's facts."""
    return [
        f"{one['source']}: {one['content']}"
        for one in said
        if isinstance(one, dict) and not cast("str", one["type"]).endswith("Event")
    ]


# Models


def info(**changes: Any) -> ModelInfo:
    """Describe a model that can do everything."""
    able: dict[str, Any] = {"vision": True, "function_calling": True, "json_output": True, "structured_output": True}
    return cast("ModelInfo", {**able, "family": "unknown", **changes})


def model(*answers: str | CreateResult) -> ReplayChatCompletionClient:
    """Make a model that gives these answers, one a call."""
    return ReplayChatCompletionClient(answers, info())


def calls(name: str, arguments: str = "{}") -> CreateResult:
    """Script an answer that calls a tool."""
    usage = RequestUsage(prompt_tokens=10, completion_tokens=5)
    call = FunctionCall(id=f"call-{name}", name=name, arguments=arguments)
    return CreateResult(finish_reason="function_calls", content=[call], usage=usage, cached=False)


class Held(ReplayChatCompletionClient):
    """A model that at its first call waits to be let go, and notes how often it was asked and cancelled."""

    def __init__(self, *answers: str | CreateResult) -> None:
        super().__init__(answers, info())
        self.asked = 0
        self.cancelled = 0
        self.waiting = asyncio.Event()
        self.released = asyncio.Event()

    @classmethod
    def at_once(cls, *answers: str | CreateResult) -> "Held":
        """Make one that does not wait."""
        held = cls(*answers)
        held.released.set()
        return held

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
        """Answer, the first time after `released`."""
        self.asked += 1
        self.waiting.set()
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await super().create(messages, json_output=json_output)


# Agents


class Actor(BaseChatAgent):
    """Follows its script, a line a turn, and keeps how many turns it had; the line is an error, a handoff, or what it says.

    `!text` raises `ValueError(text)`, once; `>name` hands over to a name. After the script it says how many turns it had.
    """

    def __init__(self, name: str, *script: str) -> None:
        super().__init__(name, f"{name} follows a script")
        self._script = list(script)
        self._turns = 0
        self._heard = 0

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        """What a line may be."""
        return (TextMessage, HandoffMessage)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """Say the next line, and how many messages were heard until then."""
        await asyncio.sleep(0)
        line = self._script[self._turns] if self._turns < len(self._script) else f"turn {self._turns}"
        if line.startswith("!"):
            self._script[self._turns] = "recovered"
            raise ValueError(line[1:])
        self._turns += 1
        self._heard += len(messages)
        if line.startswith(">"):
            handoff = HandoffMessage(content=f"over to {line[1:]}", source=self.name, target=line[1:])
            return Response(chat_message=handoff)
        return Response(chat_message=TextMessage(content=f"{line} ({self._heard})", source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Begin with the first line."""
        self._turns = self._heard = 0

    async def save_state(self) -> Mapping[str, Any]:
        """Return the place in the script."""
        return {"turns": self._turns, "heard": self._heard}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Go to a place in the script."""
        self._turns, self._heard = state["turns"], state["heard"]


# Losses


class Losing(DefaultInterventionHandler):
    """Loses messages, or answers, of the classes that it is told, each so many times."""

    def __init__(self, **times: int) -> None:
        self.left = times

    def _loses(self, message: object) -> bool:
        name = type(message).__name__
        self.left[name] = self.left.get(name, 0) - 1
        return self.left[name] >= 0

    async def on_send(self, message: Any, *, message_context: MessageContext, recipient: AgentId) -> Any:
        """Lose a message."""
        return DropMessage if self._loses(message) else message

    async def on_response(self, message: Any, *, sender: AgentId, recipient: AgentId | None) -> Any:
        """Lose an answer."""
        return DropMessage if self._loses(message) else message


async def settled() -> None:
    """Give whatever is under way the time to show itself, where nothing should."""
    await asyncio.sleep(0.05)
