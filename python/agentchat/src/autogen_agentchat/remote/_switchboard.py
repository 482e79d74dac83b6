"""`Switchboard`: where a process is reached about turns that are under way, on either side: events come in here, and control.

One agent for each runtime, registered as an instance, so that its messages come to this process and do not wait behind a turn.
Stands on the protocol; knows neither the remote agent nor the served one, only what it calls of them.
"""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol
from uuid import uuid4
from weakref import WeakKeyDictionary, WeakValueDictionary

from autogen_agentchat.remote._protocol import (
    PROTOCOL,
    RemoteAgentEvents,
    RemoteAgentEventsTaken,
    RemoteAgentHold,
    RemoteAgentSave,
    RemoteAgentSaved,
)
from autogen_core import AgentId, AgentRuntime, MessageContext, RoutedAgent, rpc, try_get_known_serializers_for_type
from autogen_core.exceptions import UndeliverableException


class Listener(Protocol):
    """Who waits for a turn's events."""

    def take(self, events: RemoteAgentEvents) -> bool:
        """Take events, and say whether the agent is to hold."""
        ...


class Reachable(Protocol):
    """Who is served here."""

    async def hold(self, *, paused: bool) -> None:
        """Hold, or go on."""
        ...

    async def saved(self) -> RemoteAgentSaved:
        """Return the state, also in the midst of a turn."""
        ...


class Switchboard(RoutedAgent):
    """Connects turns under way with their callers, and callers with the agents that take them."""

    def __init__(self) -> None:
        super().__init__("Events and control of turns that are taken elsewhere, or here for others")
        self._listeners: dict[str, Listener] = {}
        self._served: WeakValueDictionary[str, Reachable] = WeakValueDictionary()

    @contextmanager
    def listening(self, turn: str, listener: Listener) -> Generator[None]:
        """Hand the events of a turn to a listener."""
        self._listeners[turn] = listener
        try:
            yield
        finally:
            if self._listeners.get(turn) is listener:
                del self._listeners[turn]

    def reach(self, agent: str, served: Reachable) -> None:
        """Let an agent that is served here be reached during its turns, as long as it exists."""
        self._served[agent] = served

    @rpc
    async def handle_events(self, message: RemoteAgentEvents, ctx: MessageContext) -> RemoteAgentEventsTaken:
        """Hand events to who waits for them. Those that come after the turn's answer were in it."""
        listener = self._listeners.get(message.turn)
        return RemoteAgentEventsTaken(paused=listener is not None and listener.take(message))

    @rpc
    async def handle_hold(self, message: RemoteAgentHold, ctx: MessageContext) -> None:
        """Let an agent that is served here hold, or go on."""
        await self._find(message.agent).hold(paused=message.paused)

    @rpc
    async def handle_save(self, message: RemoteAgentSave, ctx: MessageContext) -> RemoteAgentSaved:
        """Return the state of an agent that is served here."""
        return await self._find(message.agent).saved()

    def _find(self, agent: str) -> Reachable:
        served = self._served.get(agent)
        if served is None:
            raise UndeliverableException(f"The agent {agent} is not served by this worker any more. Ask again.")
        return served


_ids: WeakKeyDictionary[AgentRuntime, "asyncio.Future[AgentId]"] = WeakKeyDictionary()


async def switchboard(runtime: AgentRuntime) -> Switchboard:
    """Return this process's switchboard in a runtime; the first who asks registers it."""
    made = _ids.get(runtime)
    if made is None or made.cancelled():
        made = _ids[runtime] = asyncio.ensure_future(_register(runtime))
        made.add_done_callback(lambda done: _forget_failed(runtime, done))
    id = await asyncio.shield(made)  # others may wait for it when one gives up
    return await runtime.try_get_underlying_agent_instance(id, Switchboard)


async def _register(runtime: AgentRuntime) -> AgentId:
    for message_type in PROTOCOL:
        runtime.add_message_serializer(try_get_known_serializers_for_type(message_type))
    # Without a subscription: nobody publishes to it.
    return await runtime.register_agent_instance(Switchboard(), AgentId(f"switchboard_{uuid4().hex}", "default"))


def _forget_failed(runtime: AgentRuntime, done: "asyncio.Future[AgentId]") -> None:
    if done.cancelled() or done.exception() is not None:
        _ids.pop(runtime, None)
