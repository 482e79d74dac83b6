"""Asks one model after another until one answers. Stands on the kinds of failures; knows no provider."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from functools import reduce
from typing import Self, TypeVar

from pydantic import BaseModel, Field

from autogen_core import Component, ComponentModel
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, ModelInfo, RequestUsage
from autogen_core.tools import Tool, ToolSchema
from autogen_ext.models._shared._replies import add_usage

from ._base import Items, ModelCall, ModelMiddleware
from ._failures import FailureKind, failure_of
from ._streams import begin

T = TypeVar("T")

_log = logging.getLogger("autogen_ext.models.middleware")

ELSEWHERE: tuple[FailureKind, ...] = (
    "rate_limited",
    "server",
    "connection",
    "circuit_open",
    "context_length",
    "unusable_reply",
)
"""Failures that another model may not have."""


class FallbackConfig(BaseModel):
    """A `FallbackClient` as data."""

    clients: list[ComponentModel] = Field(min_length=1)
    on: list[FailureKind] = list(ELSEWHERE)


class FallbackClient(ModelMiddleware, Component[FallbackConfig]):
    """Asks the first client, and where that fails the next, until one answers.

    Each call begins with the first client again; put a `CircuitBreakerClient` around one that is down for longer, and a
    `RetryClient` around one that should be asked several times. A stream falls back only as long as nothing of it was
    handed on. What the model can do is what all of them can; usage is the sum of all.

    Args:
        clients: Whom calls are passed to, the preferred one first.
        on: The kinds of failures after which the next one is asked. Others are raised at once.

    If all fail, the last one's error is raised, with a note about each of the others.
    """

    component_config_schema = FallbackConfig
    component_provider_override = "autogen_ext.models.middleware.FallbackClient"

    def __init__(self, clients: Sequence[ChatCompletionClient], *, on: Sequence[FailureKind] = ELSEWHERE) -> None:
        if not clients:
            raise ValueError("FallbackClient needs a client, better two: the preferred one and its substitute.")
        super().__init__(clients[0])
        self.clients = tuple(clients)
        self._on = tuple(on)

    async def _create(self, call: ModelCall) -> CreateResult:
        return await self._first_answer(call.create)

    async def _stream(self, call: ModelCall) -> Items:
        first, rest = await self._first_answer(lambda client: begin(call, client))
        async with aclosing(rest):
            for item in first:
                yield item
            async for item in rest:
                yield item

    async def _first_answer(self, ask: Callable[[ChatCompletionClient], Awaitable[T]]) -> T:
        notes: list[str] = []
        for position, client in enumerate(self.clients, start=1):
            try:
                return await ask(client)
            except Exception as error:
                kind = failure_of(error).kind
                if kind not in self._on or position == len(self.clients):
                    for note in notes:
                        error.add_note(note)
                    raise
                _log.warning(
                    "Model %d of %d failed (%s); asking the next: %s", position, len(self.clients), kind, error
                )
                notes.append(
                    f"Model {position} of {len(self.clients)} had failed before: {type(error).__name__}: {error}"
                )
        raise AssertionError("there is a client, so there is an answer or an error")  # pragma: no cover

    async def close(self) -> None:
        """Close all clients, also if one cannot be closed.

        Raises:
            ExceptionGroup: Clients could not be closed.
        """
        errors: list[Exception] = []
        for client in self.clients:
            try:
                await client.close()
            except Exception as error:  # noqa: BLE001 - raised below, once the others are closed
                errors.append(error)
        if errors:
            raise ExceptionGroup("clients of a FallbackClient could not be closed", errors)

    def actual_usage(self) -> RequestUsage:
        """Return what all the clients used."""
        return _sum(client.actual_usage() for client in self.clients)

    def total_usage(self) -> RequestUsage:
        """Return what all the clients used in all their calls."""
        return _sum(client.total_usage() for client in self.clients)

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = []) -> int:
        """Return how many tokens are left beside a conversation in the shortest context among the clients'."""
        return min(client.remaining_tokens(messages, tools=tools) for client in self.clients)

    @property
    def model_info(self) -> ModelInfo:
        """What all of the models can do; the family is the first one's."""
        infos = [client.model_info for client in self.clients]
        info = ModelInfo(
            vision=all(each["vision"] for each in infos),
            function_calling=all(each["function_calling"] for each in infos),
            json_output=all(each["json_output"] for each in infos),
            family=infos[0]["family"],
            structured_output=all(each.get("structured_output", False) for each in infos),
        )
        if any("multiple_system_messages" in each for each in infos):
            info["multiple_system_messages"] = all(each.get("multiple_system_messages") for each in infos)
        return info

    def _to_config(self) -> FallbackConfig:
        return FallbackConfig(clients=[client.dump_component() for client in self.clients], on=list(self._on))

    @classmethod
    def _from_config(cls, config: FallbackConfig) -> Self:
        return cls([ChatCompletionClient.load_component(client) for client in config.clients], on=config.on)


def _sum(usages: Iterable[RequestUsage]) -> RequestUsage:
    return reduce(add_usage, usages, RequestUsage(prompt_tokens=0, completion_tokens=0))
