"""Limits on messages, tokens and time, and conditions decided outside: by a caller, or by a function of yours.

Stands on the shared base; knows no agent and no team.
"""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from inspect import isawaitable
from typing import Any, Self, TypeGuard

from pydantic import model_validator

from autogen_agentchat.conditions._base import Condition, ConditionConfig
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_core import Component


class MaxMessageTerminationConfig(ConditionConfig):
    """The saved form of a `MaxMessageTermination`."""

    max_messages: int
    include_agent_event: bool = False


class MaxMessageTermination(Condition, Component[MaxMessageTerminationConfig]):
    """Ends when so many messages have been exchanged. The task counts too.

    Args:
        max_messages: The number, at least 1.
        include_agent_event: Count events, such as tool calls, as well as chat messages.

    Raises:
        ValueError: The number is below 1.
    """

    component_config_schema = MaxMessageTerminationConfig
    component_provider_override = "autogen_agentchat.conditions.MaxMessageTermination"

    def __init__(self, max_messages: int, include_agent_event: bool = False) -> None:
        super().__init__()
        if max_messages < 1:
            raise ValueError(f"max_messages must be at least 1, got {max_messages}.")
        self._max_messages = max_messages
        self._include_agent_event = include_agent_event
        self._count = 0

    async def _reason_to_stop(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
        self._count += sum(self._include_agent_event or isinstance(message, BaseChatMessage) for message in messages)
        if self._count < self._max_messages:
            return None
        return f"Maximum number of messages {self._max_messages} reached, current message count: {self._count}"

    def _forget(self) -> None:
        self._count = 0

    def _memory(self) -> Mapping[str, Any]:
        return {"count": self._count}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._count = int(memory["count"])

    def _to_config(self) -> MaxMessageTerminationConfig:
        return MaxMessageTerminationConfig(
            max_messages=self._max_messages, include_agent_event=self._include_agent_event
        )

    @classmethod
    def _from_config(cls, config: MaxMessageTerminationConfig) -> Self:
        return cls(max_messages=config.max_messages, include_agent_event=config.include_agent_event)


class TokenUsageTerminationConfig(ConditionConfig):
    """The saved form of a `TokenUsageTermination`."""

    max_total_token: int | None
    max_prompt_token: int | None
    max_completion_token: int | None

    @model_validator(mode="before")
    @classmethod
    def _fill_in_no_limits(cls, values: Any) -> Any:
        # A dump leaves out what is None, and 0.7.5 could not load what was left out.
        return {**dict.fromkeys(cls.model_fields), **values} if _is_record(values) else values


class TokenUsageTermination(Condition, Component[TokenUsageTerminationConfig]):
    """Ends when so many tokens have been used, as messages and events report in `models_usage`.

    Args:
        max_total_token: The limit on prompts and completions together; `None` for no such limit.
        max_prompt_token: The limit on prompts.
        max_completion_token: The limit on completions.

    Raises:
        ValueError: No limit was given, or one below 1.
    """

    component_config_schema = TokenUsageTerminationConfig
    component_provider_override = "autogen_agentchat.conditions.TokenUsageTermination"

    def __init__(
        self,
        max_total_token: int | None = None,
        max_prompt_token: int | None = None,
        max_completion_token: int | None = None,
    ) -> None:
        super().__init__()
        limits = (max_total_token, max_prompt_token, max_completion_token)
        given = [limit for limit in limits if limit is not None]
        if not given:
            raise ValueError(
                "TokenUsageTermination needs at least one of max_total_token, max_prompt_token and max_completion_token."
            )
        if min(given) < 1:
            raise ValueError(f"Token limits must be at least 1, got {min(given)}.")
        self._limits = limits
        self._prompt_tokens = 0
        self._completion_tokens = 0

    async def _reason_to_stop(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
        for message in messages:
            if message.models_usage is not None:
                self._prompt_tokens += message.models_usage.prompt_tokens
                self._completion_tokens += message.models_usage.completion_tokens
        total = self._prompt_tokens + self._completion_tokens
        used = (total, self._prompt_tokens, self._completion_tokens)
        if not any(limit is not None and count >= limit for count, limit in zip(used, self._limits, strict=True)):
            return None
        return (
            f"Token usage limit reached, total token count: {total}, prompt token count: {self._prompt_tokens}, "
            f"completion token count: {self._completion_tokens}."
        )

    def _forget(self) -> None:
        self._prompt_tokens = 0
        self._completion_tokens = 0

    def _memory(self) -> Mapping[str, Any]:
        return {"prompt_tokens": self._prompt_tokens, "completion_tokens": self._completion_tokens}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._prompt_tokens, self._completion_tokens = int(memory["prompt_tokens"]), int(memory["completion_tokens"])

    def _to_config(self) -> TokenUsageTerminationConfig:
        total, prompt, completion = self._limits
        return TokenUsageTerminationConfig(
            max_total_token=total, max_prompt_token=prompt, max_completion_token=completion
        )

    @classmethod
    def _from_config(cls, config: TokenUsageTerminationConfig) -> Self:
        return cls(
            max_total_token=config.max_total_token,
            max_prompt_token=config.max_prompt_token,
            max_completion_token=config.max_completion_token,
        )


class TimeoutTerminationConfig(ConditionConfig):
    """The saved form of a `TimeoutTermination`."""

    timeout_seconds: float


class TimeoutTermination(Condition, Component[TimeoutTerminationConfig]):
    """Ends at the first message after some time has passed since the condition was made or last reset.

    It does not interrupt an agent at work; for that, cancel the run's token.

    Args:
        timeout_seconds: Seconds on a clock that is not affected by changes of the system's time.
    """

    component_config_schema = TimeoutTerminationConfig
    component_provider_override = "autogen_agentchat.conditions.TimeoutTermination"

    def __init__(self, timeout_seconds: float) -> None:
        super().__init__()
        self._timeout_seconds = timeout_seconds
        self._started_at = time.monotonic()

    async def _reason_to_stop(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
        if time.monotonic() - self._started_at < self._timeout_seconds:
            return None
        return f"Timeout of {self._timeout_seconds} seconds reached"

    def _forget(self) -> None:
        self._started_at = time.monotonic()

    def _memory(self) -> Mapping[str, Any]:
        return {"elapsed_seconds": time.monotonic() - self._started_at}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._started_at = time.monotonic() - float(memory["elapsed_seconds"])

    def _to_config(self) -> TimeoutTerminationConfig:
        return TimeoutTerminationConfig(timeout_seconds=self._timeout_seconds)

    @classmethod
    def _from_config(cls, config: TimeoutTerminationConfig) -> Self:
        return cls(timeout_seconds=config.timeout_seconds)


class ExternalTerminationConfig(ConditionConfig):
    """The saved form of an `ExternalTermination`."""


class ExternalTermination(Condition, Component[ExternalTerminationConfig]):
    """Ends when somebody outside calls `set()`: the team finishes the turn it is in, then stops.

    A button in a user interface holds such a condition. To end at once, cancel the run's token instead.
    """

    component_config_schema = ExternalTerminationConfig
    component_provider_override = "autogen_agentchat.conditions.ExternalTermination"

    def __init__(self) -> None:
        super().__init__()
        self._requested = False

    def set(self) -> None:
        """Ask for the end. May be called from any thread, also before the run; `reset()` takes it back."""
        self._requested = True

    async def _reason_to_stop(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
        return "External termination requested" if self._requested else None

    def _forget(self) -> None:
        self._requested = False

    def _memory(self) -> Mapping[str, Any]:
        return {"requested": self._requested}

    def _recall(self, memory: Mapping[str, Any]) -> None:
        self._requested = bool(memory["requested"])

    def _to_config(self) -> ExternalTerminationConfig:
        return ExternalTerminationConfig()

    @classmethod
    def _from_config(cls, config: ExternalTerminationConfig) -> Self:  # noqa: ARG003 - the contract's form; it is empty
        return cls()


class FunctionalTermination(Condition):
    """Ends when a function of yours says so. It cannot be saved, since a function is code and not configuration.

    Args:
        func: Is given the new messages and returns whether to stop; may be async. What it raises ends the run.
    """

    component_provider_override = "autogen_agentchat.conditions.FunctionalTermination"

    def __init__(
        self,
        func: Callable[[Sequence[BaseAgentEvent | BaseChatMessage]], bool]
        | Callable[[Sequence[BaseAgentEvent | BaseChatMessage]], Awaitable[bool]],
    ) -> None:
        super().__init__()
        self._func = func

    async def _reason_to_stop(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
        answer = self._func(messages)
        if isawaitable(answer):
            answer = await answer
        return "Functional termination condition met" if answer else None

    def _to_config(self) -> Any:
        raise NotImplementedError(
            "FunctionalTermination cannot be saved: its function is code. To save such a condition, derive a class from "
            "TerminationCondition and Component that has the rule in it."
        )


def _is_record(values: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(values, dict)
