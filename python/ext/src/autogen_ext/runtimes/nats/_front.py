"""What users say to agents, wherever these live: messages, now or later, and questions about them.

The face of the runtime towards whoever sends. Agents of this process are asked as core does it, others through their workers.
Stands on the way out, the timers and the registry; must not know how agents come to live somewhere, nor the runtime's life.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from autogen_core import Agent, AgentId, AgentMetadata, AgentType, CancellationToken, TopicId
from autogen_core.exceptions import NotAccessibleError
from autogen_core.lowlevel import BaseRuntime, new_message_id
from autogen_ext.runtimes._shared import payloads

from ._control import json_payload
from ._registry import Registry
from ._sending import Sending
from ._timers import Timers
from ._wire import EVENT, LOAD, REQUEST, SAVE, TELL, Message

T = TypeVar("T", bound=Agent)


class Front(BaseRuntime):
    """A runtime whose agents may live in other processes."""

    _registry: Registry
    _sending: Sending
    _timers: Timers

    @property
    def _started(self) -> bool:
        """Whether there are other workers to ask."""
        raise NotImplementedError

    def _require_started(self) -> None:
        if not self._started:
            raise ValueError("Runtime must be running before messages can be sent. Call start() first.")

    # Messages

    async def send_message(
        self,
        message: Any,
        recipient: AgentId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - it travels with the message, and so holds for what that causes
    ) -> Any:
        """Send a message to one agent, wherever it lives, and wait for its answer; as `AgentRuntime.send_message`.

        A message whose id the recipient has handled already is not handled again: the answer is that of the first time. With
        `timeout`, the answer must be there within so many seconds, and what the handler sends in turn must be answered earlier
        still.

        Raises:
            ValueError: The runtime is not started, or the message cannot be written.
            UndeliverableException: There is no such agent type, or no worker for it has come back in time.
            DeadlineExceededError: No answer in time; the handler is cancelled.
            MailboxFullError: As many messages wait for the recipient's pool as may.
            MessageTooLargeError: The message is longer than the server takes.
            NotPermittedError: The server does not let this worker call the recipient.
            RemoteError: The handler raised. Where its error is one of Python's own, this one is caught by the same class.
        """
        self._require_started()
        return await self._sending.send(
            message,
            recipient,
            sender=sender,
            cancellation_token=cancellation_token,
            message_id=message_id,
            timeout_s=timeout,
        )

    async def publish_message(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> None:
        """Store a message for all who hear the topic; as `AgentRuntime.publish_message`.

        It returns once the message is on its way to the server, and is sent again until it is stored. `flush` waits for that,
        and so does `stop`. A message that is being handled counts as handled only when all that its handler has published is
        stored. Where mailboxes are nearly full, it returns once the message is stored.

        Raises:
            ValueError: The runtime is not started, or the message cannot be written.
            MailboxFullError: As many messages wait for a hearer's pool as may.
            MessageTooLargeError: The message is longer than the server takes.
            NotPermittedError: This worker has no right to publish to topics of this type.
        """
        self._require_started()
        await self._sending.publish(
            message, topic_id, sender=sender, cancellation_token=cancellation_token, message_id=message_id
        )

    async def flush(self) -> None:
        """Wait until everything that was published here, outside of handlers, is stored.

        Raises:
            Exception: Something could not be stored since this was last called; the first such error.
        """
        await self._sending.flush()

    # Later

    async def send_message_later(
        self,
        message: Any,
        recipient: AgentId | TopicId,
        *,
        after: timedelta | datetime | None = None,
        every: timedelta | None = None,
        sender: AgentId | None = None,
        timer_id: str | None = None,
    ) -> str:
        """Send a message to an agent, or publish it to a topic, at a later time, or again and again.

        The server keeps it, so it is sent also if this process has ended by then, as soon as any worker is alive. What the
        recipient answers goes nowhere; an error becomes a log entry there.

        Args:
            message: The message.
            recipient: The agent, or the topic.
            after: In how much time, or when.
            every: The time between two messages, at least a second; the first is sent after as long.
            sender: Who sends it.
            timer_id: A name for the timer; one of the same name is replaced. One is made if not given.

        Returns:
            The timer's name, for `cancel_timer`.

        Raises:
            ValueError: Neither or both of `after` and `every`, or the message cannot be written.
        """
        self._require_started()
        if (after is None) == (every is None):
            raise ValueError("Give `after`, for a message that is sent once, or `every`, for one that is repeated.")
        id = timer_id or new_message_id()
        payload = payloads.write(message, self._serializers)
        if isinstance(recipient, TopicId):
            written = Message(EVENT, id, payload, sender=sender, topic=recipient)
        else:
            written = Message(REQUEST, id, payload, sender=sender, recipient=recipient)
        await self._timers.set(id, written, after or timedelta(), every)
        return id

    async def cancel_timer(self, timer_id: str) -> bool:
        """Take back a message of `send_message_later`; return whether it was still to be sent."""
        self._require_started()
        return await self._timers.cancel(timer_id)

    # Agents

    async def try_get_underlying_agent_instance(self, id: AgentId, type: type[T] = Agent) -> T:  # type: ignore[assignment]  # any agent by default
        """Return an agent's object; as `AgentRuntime.try_get_underlying_agent_instance`.

        Raises:
            NotAccessibleError: It does not live here now.
            TypeError: It is not of the given class.
        """
        if self._started and id not in self._directory.agents:
            await self.agent_metadata(id)
        if id not in self._directory.agents:
            raise NotAccessibleError(f"Agent {id} does not live in this process, so its object cannot be had here.")
        return await super().try_get_underlying_agent_instance(id, type)

    async def get(
        self, id_or_type: AgentId | AgentType | str, /, key: str = "default", *, lazy: bool = True
    ) -> AgentId:
        """Return the id of an agent; not lazy, it is made if it does not exist yet, wherever it lives."""
        agent = id_or_type if isinstance(id_or_type, AgentId) else AgentId(id_or_type, key)
        if not lazy:
            await self.agent_metadata(agent)
        return agent

    async def agent_metadata(self, agent: AgentId) -> AgentMetadata:
        """Return what an agent tells about itself, wherever it lives; raises `LookupError` for an unknown type."""
        if self._lives_here(agent):
            return await super().agent_metadata(agent)
        return AgentMetadata(**await self._sending.ask_agent(TELL, agent))

    async def agent_save_state(self, agent: AgentId) -> Mapping[str, Any]:
        """Return the state of an agent, wherever it lives; raises `LookupError` for an unknown type."""
        if self._lives_here(agent):
            return await super().agent_save_state(agent)
        return await self._sending.ask_agent(SAVE, agent)

    async def agent_load_state(self, agent: AgentId, state: Mapping[str, Any]) -> None:
        """Give an agent a state, wherever it lives; raises `LookupError` for an unknown type."""
        if self._lives_here(agent):
            await super().agent_load_state(agent, state)
        else:
            await self._sending.ask_agent(LOAD, agent, json_payload(dict(state)))

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Take up what `save_state` returned; states of agent types that are not known are left out."""
        known = set(self._registry.types) if self._started else self._directory.types
        for text, agent_state in state.items():
            agent = AgentId.from_str(text)
            if agent.type in known:
                await self.agent_load_state(agent, agent_state)

    def _lives_here(self, agent: AgentId) -> bool:
        """Tell whether an agent is this worker's own business: an instance, or any agent before the start."""
        if not self._started:
            return True
        return self._sending.route(agent) is None
