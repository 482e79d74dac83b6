"""Which agents there are: how each type is made, which instances exist, and making one on its first message.

Shared by all runtimes. Stands on the contracts and the instantiation context; knows no delivery.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from inspect import isawaitable
from typing import Any, TypeVar

from autogen_core._context import AgentInstantiationContext
from autogen_core._contracts import Agent, AgentRuntime
from autogen_core._identity import AgentId, AgentType
from autogen_core._names import EVENT_LOGGER_NAME
from autogen_core._runtime.eager import start_eagerly
from autogen_core.exceptions import RegistrationError
from autogen_core.logging import AgentConstructionExceptionEvent

T = TypeVar("T", bound=Agent)

Factory = Callable[[], Awaitable[Agent]]

SaveState = Callable[[AgentId, Mapping[str, Any]], Awaitable[None] | None]
"""Keeps the state of an agent; may be async."""

_event_logger = logging.getLogger(EVENT_LOGGER_NAME)


class Directory:
    """The agents of a runtime.

    Args:
        runtime: The runtime that the agents are told to live in.
    """

    def __init__(self, runtime: AgentRuntime) -> None:
        self._runtime = runtime
        self._factories: dict[str, Factory | None] = {}  # None: a type whose instances are all registered one by one
        self._agents: dict[AgentId, Agent] = {}
        self._being_made: dict[AgentId, asyncio.Task[Agent]] = {}
        self._leaving: dict[AgentId, asyncio.Future[None]] = {}
        self._closed: set[AgentId] = set()

    @property
    def types(self) -> set[str]:
        """The registered agent types."""
        return set(self._factories)

    @property
    def agents(self) -> dict[AgentId, Agent]:
        """The agents that exist, by id."""
        return self._agents

    def knows(self, id: AgentId) -> bool:
        """Tell whether there is such an agent, or can be."""
        return id in self._agents or self.can_make(id)

    def can_make(self, id: AgentId) -> bool:
        """Tell whether there is a factory for the agent."""
        return self._factories.get(id.type) is not None

    def add_factory(
        self,
        type: str | AgentType,
        factory: Callable[[], T | Awaitable[T]],
        expected_class: type[T] | None,
    ) -> AgentType:
        """Register how agents of a type are made; promises as `AgentRuntime.register_factory`."""
        agent_type = AgentType(type) if isinstance(type, str) else type
        if agent_type.type in self._factories:
            raise RegistrationError(f"Agent with type {agent_type.type!r} already exists. Choose another type name.")

        async def make() -> Agent:
            made = factory()
            agent = await made if isawaitable(made) else made
            if expected_class is not None and agent.__class__ is not expected_class:
                raise RegistrationError(
                    f"The factory of agent type {agent_type.type!r} made a {agent.__class__.__name__}, but was "
                    f"registered for {expected_class.__name__}."
                )
            return agent

        self._factories[agent_type.type] = make
        return agent_type

    async def add_instance(self, agent: Agent, id: AgentId) -> AgentId:
        """Register an agent that exists; promises as `AgentRuntime.register_agent_instance`."""
        if id in self._agents:
            raise RegistrationError(f"Agent with id {id} already exists. Choose another key.")
        if self._factories.setdefault(id.type, None) is not None:
            raise RegistrationError(
                f"Agent type {id.type!r} has a factory, so its agents cannot be registered one by one. "
                "Choose another type name."
            )
        await agent.bind_id_and_runtime(id=id, runtime=self._runtime)
        self._agents[id] = agent
        return id

    async def activate(self, id: AgentId) -> Agent:
        """Return an agent; it is made if it does not exist yet, once, however many ask for it at a time.

        Raises:
            LookupError: No such agent type, or no such instance of a type without a factory.
            Exception: Its factory failed.
        """
        while (leaving := self._leaving.get(id)) is not None:
            await asyncio.shield(leaving)
        agent = self._agents.get(id)
        if agent is not None:
            return agent
        factory = self._factories.get(id.type)
        if factory is None:
            name = str(id) if id.type in self._factories else id.type
            raise LookupError(f"Agent with name {name} not found. Registered types: {sorted(self._factories)}.")
        making = self._being_made.get(id)
        if making is None:
            making = start_eagerly(self._make(id, factory), asyncio.get_running_loop())
            if making.done():
                return making.result()
            self._being_made[id] = making
            making.add_done_callback(lambda task: self._made(id, task))
        # Shielded: that one of those who wait gives up must not fail the others.
        return await asyncio.shield(making)

    def _made(self, id: AgentId, task: asyncio.Task[Agent]) -> None:
        del self._being_made[id]
        if not task.cancelled():
            task.exception()  # seen here: all who waited for it may have given up

    async def stop(self) -> None:
        """Give up making agents that are not ready yet."""
        making = list(self._being_made.values())
        for task in making:
            task.cancel()
        await asyncio.gather(*making, return_exceptions=True)

    async def _make(self, id: AgentId, factory: Factory) -> Agent:
        try:
            with AgentInstantiationContext.populate_context((self._runtime, id)):
                agent = await factory()
            await agent.bind_id_and_runtime(id=id, runtime=self._runtime)
        except BaseException as error:
            with suppress(Exception):  # a broken log handler must not hide why the agent could not be made
                _event_logger.info(AgentConstructionExceptionEvent(agent_id=id, exception=error))
            raise
        self._agents[id] = agent
        return agent

    async def evict(self, id: AgentId, save: SaveState | None) -> None:
        """Save and close an agent and forget its object; who asks for the agent meanwhile waits.

        Raises:
            Exception: It could not be saved or closed; then it stays.
        """
        agent = self._agents.pop(id)
        leaving = self._leaving[id] = asyncio.get_running_loop().create_future()
        try:
            if save is not None:
                saved = save(id, await agent.save_state())
                if isawaitable(saved):
                    await saved
            if id not in self._closed:
                await agent.close()
        except BaseException:
            self._agents[id] = agent
            raise
        finally:
            self._closed.discard(id)
            del self._leaving[id]
            leaving.set_result(None)

    async def close(self) -> None:
        """Close all agents, each once.

        Raises:
            ExceptionGroup: Some could not be closed; the others are.
        """
        errors: list[Exception] = []
        for id, agent in list(self._agents.items()):
            if id in self._closed:
                continue
            self._closed.add(id)
            try:
                await agent.close()
            except Exception as error:  # noqa: BLE001 - raised below, after the others are closed
                errors.append(error)
        if errors:
            raise ExceptionGroup("agents could not be closed", errors)

    async def get_as(self, id: AgentId, kind: type[Any]) -> Any:
        """Return an agent that must be of a class; promises as `AgentRuntime.try_get_underlying_agent_instance`."""
        agent = await self.activate(id)
        if not isinstance(agent, kind):
            raise TypeError(f"Agent {id} is a {agent.__class__.__name__}, not a {kind.__name__}.")
        return agent
