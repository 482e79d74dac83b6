"""Conditions on what is said and by whom. Stands on the shared base; knows no agent and no team."""

from collections.abc import Sequence
from typing import Self

from autogen_agentchat.conditions._base import Condition, ConditionConfig
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, StopMessage, TextMessage
from autogen_core import Component


class StopMessageTerminationConfig(ConditionConfig):
    """The saved form of a `StopMessageTermination`."""


class StopMessageTermination(Condition, Component[StopMessageTerminationConfig]):
    """Ends when somebody sends a `StopMessage`."""

    component_config_schema = StopMessageTerminationConfig
    component_provider_override = "autogen_agentchat.conditions.StopMessageTermination"

    async def _reason_to_stop(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
        if any(isinstance(message, StopMessage) for message in messages):
            return "Stop message received"
        return None

    def _to_config(self) -> StopMessageTerminationConfig:
        return StopMessageTerminationConfig()

    @classmethod
    def _from_config(cls, config: StopMessageTerminationConfig) -> Self:  # noqa: ARG003 - the contract's form; it is empty
        return cls()


class TextMentionTerminationConfig(ConditionConfig):
    """The saved form of a `TextMentionTermination`. `sources` is not in what 0.7.5 saved."""

    text: str
    sources: list[str] | None = None


class TextMentionTermination(Condition, Component[TextMentionTerminationConfig]):
    """Ends when a text is mentioned, in a message or in an event, in exactly this spelling.

    The task is a message too: where the task itself mentions the text, name the `sources` that count.

    Args:
        text: What to look for.
        sources: Look only at messages of these agents; `None` looks at all.
    """

    component_config_schema = TextMentionTerminationConfig
    component_provider_override = "autogen_agentchat.conditions.TextMentionTermination"

    def __init__(self, text: str, sources: Sequence[str] | None = None) -> None:
        super().__init__()
        self._text = text
        self._sources = None if sources is None else _names(sources)

    async def _reason_to_stop(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
        for message in messages:
            if (self._sources is None or message.source in self._sources) and self._text in message.to_text():
                return f"Text '{self._text}' mentioned"
        return None

    def _to_config(self) -> TextMentionTerminationConfig:
        return TextMentionTerminationConfig(text=self._text, sources=self._sources)

    @classmethod
    def _from_config(cls, config: TextMentionTerminationConfig) -> Self:
        return cls(text=config.text, sources=config.sources)


class TextMessageTerminationConfig(ConditionConfig):
    """The saved form of a `TextMessageTermination`."""

    source: str | None = None


class TextMessageTermination(Condition, Component[TextMessageTerminationConfig]):
    """Ends when somebody sends a `TextMessage`: an agent that answers in words instead of calling another tool.

    Args:
        source: Only a text message of this agent counts; with `None`, any one does, also the task.
    """

    component_config_schema = TextMessageTerminationConfig
    component_provider_override = "autogen_agentchat.conditions.TextMessageTermination"

    def __init__(self, source: str | None = None) -> None:
        super().__init__()
        self._source = source

    async def _reason_to_stop(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
        for message in messages:
            if isinstance(message, TextMessage) and (self._source is None or message.source == self._source):
                return f"Text message received from '{message.source}'"
        return None

    def _to_config(self) -> TextMessageTerminationConfig:
        return TextMessageTerminationConfig(source=self._source)

    @classmethod
    def _from_config(cls, config: TextMessageTerminationConfig) -> Self:
        return cls(source=config.source)


class SourceMatchTerminationConfig(ConditionConfig):
    """The saved form of a `SourceMatchTermination`."""

    sources: list[str]


class SourceMatchTermination(Condition, Component[SourceMatchTerminationConfig]):
    """Ends when one of the named agents has answered.

    Args:
        sources: The names of the agents.
    """

    component_config_schema = SourceMatchTerminationConfig
    component_provider_override = "autogen_agentchat.conditions.SourceMatchTermination"

    def __init__(self, sources: list[str]) -> None:
        super().__init__()
        self._sources = _names(sources)

    async def _reason_to_stop(self, messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
        for message in messages:
            if message.source in self._sources:
                return f"'{message.source}' answered"
        return None

    def _to_config(self) -> SourceMatchTerminationConfig:
        return SourceMatchTerminationConfig(sources=self._sources)

    @classmethod
    def _from_config(cls, config: SourceMatchTerminationConfig) -> Self:
        return cls(sources=config.sources)


def _names(sources: Sequence[str]) -> list[str]:
    """Copy the names; a single one given as a plain string would otherwise be taken letter by letter."""
    return [sources] if isinstance(sources, str) else list(sources)
