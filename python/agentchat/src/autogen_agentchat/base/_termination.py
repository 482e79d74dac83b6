"""The contract of a termination condition, and the two ways to combine conditions. Stands on messages; knows no team."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, StopMessage
from autogen_core import Component, ComponentBase, ComponentModel


class TerminatedException(BaseException):
    """A termination condition was asked again after it had been reached. Call `reset()` before the next run."""


class _TerminatedError(TerminatedException, RuntimeError):
    """What conditions raise. 0.7.5 raised `TerminatedException` or `RuntimeError`, and both habits of catching work."""


def terminated_error(condition: "TerminationCondition") -> TerminatedException:
    """Make the error to raise when `condition` is called though it has been reached."""
    return _TerminatedError(
        f"{type(condition).__name__} has already been reached. Call reset() before it is used again."
    )


class TerminationCondition(ABC, ComponentBase[BaseModel]):
    """Decides when a conversation is over.

    A condition is called with the messages that are new since the last call. It remembers what it needs, so one object
    serves one team. Once it returned a `StopMessage` it is `terminated`, and must be reset before it is called again;
    teams do that at the end of each run. Combine conditions with `&` and `|`.

    To write your own, implement `__call__`, `reset` and `terminated`; add `Component` if it is to be saved, and `save_state`
    and `load_state` if it remembers anything that a run saved in its middle needs.
    """

    component_type = "termination"

    @property
    @abstractmethod
    def terminated(self) -> bool:
        """Whether the condition has been reached."""
        ...

    @abstractmethod
    async def __call__(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> StopMessage | None:
        """Look at new messages.

        Args:
            messages: What was said and done since the last call; may be empty.

        Returns:
            A message that says why the conversation ends, or `None` to let it go on.

        Raises:
            TerminatedException: The condition has been reached already.
        """
        ...

    @abstractmethod
    async def reset(self) -> None:
        """Forget everything seen, as if the condition were new."""
        ...

    async def save_state(self) -> Mapping[str, Any]:
        """Return what the condition has seen so far, as JSON data. One that remembers anything overrides this."""
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `save_state` returned, in place of what there is.

        Raises:
            ValueError: It is the state of another condition. Nothing is changed.
        """

    def __and__(self, other: "TerminationCondition") -> "TerminationCondition":
        """End when both conditions have been reached, not necessarily by the same message."""
        if not isinstance(other, TerminationCondition):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            return NotImplemented
        return AndTerminationCondition(self, other)

    def __or__(self, other: "TerminationCondition") -> "TerminationCondition":
        """End when either condition has been reached."""
        if not isinstance(other, TerminationCondition):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            return NotImplemented
        return OrTerminationCondition(self, other)


class AndTerminationConditionConfig(BaseModel):
    """The saved form of an `AndTerminationCondition`."""

    model_config = ConfigDict(defer_build=True)

    conditions: list[ComponentModel]


class OrTerminationConditionConfig(BaseModel):
    """The saved form of an `OrTerminationCondition`."""

    model_config = ConfigDict(defer_build=True)

    conditions: list[ComponentModel]


class AndTerminationCondition(TerminationCondition, Component[AndTerminationConditionConfig]):
    """Ends when all of its conditions have been reached, in whatever order. A reached one is not asked again.

    Args:
        *conditions: At least one.

    Raises:
        TypeError: Something else than a condition was given.
        ValueError: Nothing was given: such a condition would be reached before it starts.
    """

    component_config_schema = AndTerminationConditionConfig
    component_provider_override = "autogen_agentchat.base.AndTerminationCondition"

    def __init__(self, *conditions: TerminationCondition) -> None:
        if not conditions:
            raise ValueError("AndTerminationCondition needs at least one condition.")
        self._conditions = _checked(conditions)
        self._stops: list[StopMessage] = []

    @property
    def terminated(self) -> bool:
        """Whether all conditions have been reached."""
        return all(condition.terminated for condition in self._conditions)

    async def __call__(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> StopMessage | None:
        if self.terminated:
            raise terminated_error(self)
        for condition in self._conditions:
            if not condition.terminated and (stop := await condition(messages)) is not None:
                self._stops.append(stop)
        return _joined(self._stops) if self.terminated else None

    async def reset(self) -> None:
        for condition in self._conditions:
            await condition.reset()
        self._stops.clear()

    async def save_state(self) -> Mapping[str, Any]:
        return {**await _save(self, self._conditions), "stops": [dict(stop.dump()) for stop in self._stops]}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        await _load(self, self._conditions, state)
        self._stops = [StopMessage.load(stop) for stop in state["stops"]]

    def _to_config(self) -> AndTerminationConditionConfig:
        return AndTerminationConditionConfig(conditions=[condition.dump_component() for condition in self._conditions])

    @classmethod
    def _from_config(cls, config: AndTerminationConditionConfig) -> Self:
        return cls(*(TerminationCondition.load_component(model) for model in config.conditions))


class OrTerminationCondition(TerminationCondition, Component[OrTerminationConditionConfig]):
    """Ends when one of its conditions has been reached. Each sees every message.

    Args:
        *conditions: The conditions.

    Raises:
        TypeError: Something else than a condition was given.
    """

    component_config_schema = OrTerminationConditionConfig
    component_provider_override = "autogen_agentchat.base.OrTerminationCondition"

    def __init__(self, *conditions: TerminationCondition) -> None:
        self._conditions = _checked(conditions)

    @property
    def terminated(self) -> bool:
        """Whether any condition has been reached."""
        return any(condition.terminated for condition in self._conditions)

    async def __call__(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> StopMessage | None:
        if self.terminated:
            raise terminated_error(self)
        # All are asked, also when the first says stop: reasons that come together are told together.
        stops = [stop for condition in self._conditions if (stop := await condition(messages)) is not None]
        return _joined(stops) if stops else None

    async def reset(self) -> None:
        for condition in self._conditions:
            await condition.reset()

    async def save_state(self) -> Mapping[str, Any]:
        return await _save(self, self._conditions)

    async def load_state(self, state: Mapping[str, Any]) -> None:
        await _load(self, self._conditions, state)

    def _to_config(self) -> OrTerminationConditionConfig:
        return OrTerminationConditionConfig(conditions=[condition.dump_component() for condition in self._conditions])

    @classmethod
    def _from_config(cls, config: OrTerminationConditionConfig) -> Self:
        return cls(*(TerminationCondition.load_component(model) for model in config.conditions))


def _checked(conditions: tuple[TerminationCondition, ...]) -> list[TerminationCondition]:
    for condition in conditions:
        if not isinstance(condition, TerminationCondition):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            raise TypeError(f"Expected a TerminationCondition, got {condition!r}.")
    return list(conditions)


async def _save(owner: TerminationCondition, conditions: Sequence[TerminationCondition]) -> dict[str, Any]:
    states = [dict(await condition.save_state()) for condition in conditions]
    return {"type": type(owner).__name__, "conditions": states}


async def _load(
    owner: TerminationCondition, conditions: Sequence[TerminationCondition], state: Mapping[str, Any]
) -> None:
    check_saved_type(owner, state)
    states = state["conditions"]
    if len(states) != len(conditions):
        raise ValueError(
            f"The saved {type(owner).__name__} has {len(states)} conditions, and this one {len(conditions)}."
        )
    before = [await condition.save_state() for condition in conditions]
    try:
        for condition, saved in zip(conditions, states, strict=True):
            await condition.load_state(saved)
    except ValueError:
        for condition, saved in zip(conditions, before, strict=True):
            await condition.load_state(saved)
        raise


def check_saved_type(condition: TerminationCondition, state: Mapping[str, Any]) -> None:
    """Raise `ValueError` if the state is not one of such a condition."""
    name = type(condition).__name__
    if state.get("type") != name:
        raise ValueError(f"Expected the saved state of a {name}, got one of type {state.get('type')!r}.")


def _joined(stops: Sequence[StopMessage]) -> StopMessage:
    return StopMessage(
        content=", ".join(stop.content for stop in stops),
        source=", ".join(stop.source for stop in stops),
    )
