"""What the face of a team, its manager and its participants say to each other. All are requests: each is answered.

Stands on messages; knows no agent and no runtime.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from autogen_agentchat.base import TerminationCondition
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, MessageFactory

Emit = Callable[[BaseAgentEvent | BaseChatMessage], None]
"""Hands an event or message to the reader of the run, if there is one."""


@dataclass
class GroupChatStart:
    """Face to manager: run until a condition says stop. Answered by the `StopMessage` that says why.

    Attributes:
        messages: The task; empty to go on with the conversation.
        output_task_messages: Whether the reader is to see the task again.
    """

    messages: Sequence[BaseChatMessage]
    output_task_messages: bool = True


class StartRefusedError(ValueError):
    """A run cannot begin with this task: the caller's mistake, nothing has run that could have failed."""


@dataclass
class GroupChatTurn:
    """Manager to participant: it is your turn. Answered by a `GroupChatTurnResult`.

    A turn whose result did not arrive is asked for again under its number: a participant that has ended it gives the same
    result once more, and one that has not takes it again, with the same messages.

    Attributes:
        messages: What was said since the participant's last turn, without its own words.
        number: How many turns the participant has had before.
    """

    messages: Sequence[BaseChatMessage]
    number: int


@dataclass
class GroupChatTurnResult:
    """A participant's turn.

    Attributes:
        messages: Everything that belongs into the thread, the answer last.
        spoken: What of it the others hear. What an agent's tools said on the way is only seen.
    """

    messages: Sequence[BaseAgentEvent | BaseChatMessage]
    spoken: Sequence[BaseChatMessage]


@dataclass
class GroupChatInject:
    """Face to manager: somebody outside says this, now, in between."""

    messages: Sequence[BaseChatMessage]


@dataclass
class GroupChatReset:
    """Face or manager to all: forget the conversation."""


@dataclass
class GroupChatPause:
    """Face to all: hold."""


@dataclass
class GroupChatResume:
    """Face to all: go on."""


@dataclass
class Seat:
    """A participant's place in the team.

    Attributes:
        name: The participant's name.
        description: What it is good at.
        agent_type: Its agent type in the runtime.
        heard: What others said since its last turn. A turn that did not end has not used it up.
        turns: How many of its turns are recorded.
    """

    name: str
    description: str
    agent_type: str
    heard: list[BaseChatMessage] = field(default_factory=list[BaseChatMessage])
    turns: int = 0


@dataclass
class ManagerSettings:
    """What every manager is made from.

    Attributes:
        name: The manager's name: the source of its events, and its key in the team's state.
        seats: The participants, in their order.
        key: The key of all agents of the team.
        emit: Where events go.
        message_factory: Reads saved messages.
        termination_condition: Says when to stop.
        max_turns: How many turns a run may take; None for any number.
        emit_team_events: Whether the choice of a speaker is an event.
    """

    name: str
    seats: list[Seat]
    key: str
    emit: Emit
    message_factory: MessageFactory
    termination_condition: TerminationCondition | None
    max_turns: int | None
    emit_team_events: bool
