"""What a `RemoteAgent` and the agent that is served elsewhere say to each other: requests, all of them, that JSON can say.

Chat messages and events travel as what `dump` makes of them. Stands on the state records; knows no agent and no runtime.

    team's process                         worker
    RemoteAgent ── RemoteAgentTurn ──────► ServedAgent        answered at the turn's end by RemoteAgentAnswer
    Switchboard ◄── RemoteAgentEvents ──── (its stream)       while the turn runs
    RemoteAgent ── RemoteAgentHold ──────► Switchboard        to the agent in the midst of its turn
"""

from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from autogen_agentchat.state import BaseState

Dumped = dict[str, Any]
"""A chat message or event, as its `dump` returned it."""


@dataclass
class RemoteAgentTurn:
    """Caller to served agent: it is your turn.

    Attributes:
        turn: The turn's id. It is asked again under the same id if its answer was lost.
        messages: What is new since the last turn.
        switchboard: Where events go; an agent id as text.
    """

    turn: str
    messages: list[Dumped]
    switchboard: str


@dataclass
class RemoteAgentEvents:
    """Served agent to the caller's switchboard: this happened so far. The first of a turn has no items: the turn begins.

    Attributes:
        turn: The turn's id.
        attempt: Which time the turn is taken: it is taken again if a worker died meanwhile.
        switchboard: Where the agent can be reached during its turn; an agent id as text.
        numbers: Which item of the attempt each is, from 0.
        items: Events and inner messages.
    """

    turn: str
    attempt: str
    switchboard: str
    numbers: list[int] = field(default_factory=list[int])
    items: list[Dumped] = field(default_factory=list[Dumped])


@dataclass
class RemoteAgentEventsTaken:
    """The answer to events: whether the agent is to hold."""

    paused: bool


@dataclass
class RemoteAgentAnswer:
    """Served agent to caller: the turn has ended.

    Attributes:
        attempt: Which time the turn was taken.
        messages: Everything that belongs into the response.
        answer: Which of the messages is the answer itself; the others are inner messages.
        numbers: Which items these are.
        items: The items of the stream that the caller may not have.
    """

    attempt: str
    messages: list[Dumped]
    answer: int
    numbers: list[int]
    items: list[Dumped]


@dataclass
class RemoteAgentHold:
    """Caller to the switchboard of an agent in its turn: hold, or go on."""

    agent: str
    paused: bool


@dataclass
class RemoteAgentSave:
    """Caller to served agent, or during its turn to its switchboard: say your state. Answered by `RemoteAgentSaved`."""

    agent: str


@dataclass
class RemoteAgentSaved:
    """The state of a served agent.

    Attributes:
        state: A `ServedAgentState`.
        ended: The id of its last turn, if that has ended; else empty.
    """

    state: dict[str, Any]
    ended: str


@dataclass
class RemoteAgentLoad:
    """Caller to served agent: take up this `ServedAgentState`."""

    state: dict[str, Any]


@dataclass
class RemoteAgentReset:
    """Caller to served agent: forget the conversation."""


class ServedAgentState(BaseState):
    """The state of a served agent, as its runtime keeps it, and as its caller saves it while an answer is on its way."""

    type: str = "ServedAgentState"
    seat: dict[str, Any]
    """A `ChatAgentContainerState`: the agent's state, and what it said in its last turn."""

    turn: str = ""
    """The id of the last turn that was begun."""

    number: int = 0
    """Its number, by which the seat knows it."""

    heard: list[str] = Field(default_factory=list[str])
    """The ids of the messages that it brought."""


PROTOCOL: tuple[type[Any], ...] = (
    RemoteAgentTurn,
    RemoteAgentEvents,
    RemoteAgentEventsTaken,
    RemoteAgentAnswer,
    RemoteAgentHold,
    RemoteAgentSave,
    RemoteAgentSaved,
    RemoteAgentLoad,
    RemoteAgentReset,
)
"""All of them, for the runtime to read and write."""
