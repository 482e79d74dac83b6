"""`SocietyTurn`: one turn of a society of mind, from its first message to its response: it outlives interruptions.

Stands on messages, model contexts and the JSON of a team's state; knows no agent and no team.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from autogen_agentchat.agents._taken_in import TakenIn
from autogen_agentchat.messages import BaseChatMessage, HandoffMessage, MessageFactory
from autogen_agentchat.messages._base import new_id
from autogen_agentchat.messages._opaque import restore
from autogen_agentchat.state import BaseGroupChatManagerState, TeamState
from autogen_core.model_context import UnboundedChatCompletionContext
from autogen_core.models import LLMMessage, UserMessage


class Said(BaseModel):
    """Something that a member of the team said."""

    model_config = ConfigDict(defer_build=True)

    id: str
    """The message's."""

    message: UserMessage
    """The message as a model is shown it."""


class SavedTurn(BaseModel):
    """The saved form of a turn that has no response yet."""

    model_config = ConfigDict(defer_build=True)

    id: str
    """Names the turn. The message that tells the team of earlier turns has it, too: a team takes in a message once."""

    taken_in: list[str] = Field(default_factory=list[str])
    """The ids of the messages with which the turn was begun."""

    heard: Mapping[str, Any] = Field(default_factory=dict)
    """These messages, as the state of a model context."""

    said: list[Said] = Field(default_factory=list[Said])
    """What the team has said so far."""

    team_is_done: bool = False


class SocietyTurn:
    """What is known of a turn. The same turn is begun again after it was cancelled, failed, or was loaded."""

    def __init__(self) -> None:
        self.id = new_id()
        self.begun = False
        self.team_is_done = False
        self._heard = UnboundedChatCompletionContext()
        self._said: dict[str, UserMessage] = {}
        self._taken_in = TakenIn()

    async def begin(self, messages: Sequence[BaseChatMessage]) -> Sequence[BaseChatMessage]:
        """Begin, or begin again, and return those messages that are new."""
        self.begun = True
        fresh = self._taken_in.begin(messages)
        for message in fresh:
            if isinstance(message, HandoffMessage):
                for earlier in message.context:
                    await self._heard.add_message(earlier)
            await self._heard.add_message(message.to_model_message())
        return fresh

    def note(self, message: BaseChatMessage) -> None:
        """Note what the team said. A team that goes on with a turn may repeat its last words, with their ids."""
        self._said[message.id] = message.to_model_message()

    async def heard(self) -> list[LLMMessage]:
        """Return what the turn was begun with, for the conversation."""
        return await self._heard.get_messages()

    def said(self) -> list[LLMMessage]:
        """Return what the team said, for the model that answers."""
        return list(self._said.values())

    def catch_up(self, team_state: Mapping[str, Any]) -> None:
        """Before the turn is begun again, take over from the team's state how far the discussion is.

        The team may have gone on after this turn noted its words last, or, where the two were saved while it was speaking,
        it may not have come so far.
        """
        record = _manager_state(team_state)
        if record is not None:
            self._said = self._said_until(record)
            # A team's run that has ended remembers no more with what it began.
            self.team_is_done = bool(record.message_thread) and not record.taken_in and not record.active_speakers

    async def save(self) -> SavedTurn | None:
        """Return the turn as data; `None` if it is not begun."""
        if not self.begun:
            return None
        return SavedTurn(
            id=self.id,
            taken_in=self._taken_in.ids,
            heard=await self._heard.save_state(),
            said=[Said(id=each, message=message) for each, message in self._said.items()],
            team_is_done=self.team_is_done,
        )

    @classmethod
    async def load(cls, saved: SavedTurn | None) -> "SocietyTurn":
        """Return a turn to go on with, or a new one."""
        turn = cls()
        if saved is not None:
            turn.begun, turn.id, turn.team_is_done = True, saved.id, saved.team_is_done
            turn._taken_in.restore(saved.taken_in)
            turn._said = {each.id: each.message for each in saved.said}
            await turn._heard.load_state(saved.heard)
        return turn

    def _said_until(self, record: BaseGroupChatManagerState) -> dict[str, UserMessage]:
        """Return what was said up to the last message in a team's thread.

        What a society within the team said inside is in no thread; it counts as said if something after it does.
        """
        thread = {str(data.get("id")): data for data in record.message_thread}
        ids = list(self._said)
        end = max((position for position, each in enumerate(ids, start=1) if each in thread), default=0)
        said = {each: self._said[each] for each in ids[:end]}
        for each, data in thread.items():
            if each not in said and each != self.id and each not in self._taken_in.ids:
                message = restore(MessageFactory(), data)
                if isinstance(message, BaseChatMessage):
                    said[each] = message.to_model_message()
        return said


def _manager_state(team_state: Mapping[str, Any]) -> BaseGroupChatManagerState | None:
    """Find the record with a team's thread. A team of another kind than those of this package may have none."""
    if "agent_states" not in team_state:
        return None
    for state in TeamState.model_validate(team_state).agent_states.values():
        if isinstance(state, Mapping) and "message_thread" in state:
            return BaseGroupChatManagerState.model_validate(state)
    return None
