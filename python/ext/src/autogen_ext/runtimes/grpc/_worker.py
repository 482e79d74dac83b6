"""`GrpcWorkerAgentRuntime`: agents of this process, and those of all other workers of a host, behind one runtime.

It owns the parts and their life. Messages between agents here are handed over (`_shared.local`); those that leave are in
`_calls` and `_publishing`, those that come in `_serving`, the connection in `_link`, registrations in `_registry`, other talk
in `_control`.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from autogen_core import (
    JSON_DATA_CONTENT_TYPE,
    PROTOBUF_DATA_CONTENT_TYPE,
    ROOT_LOGGER_NAME,
    Agent,
    AgentId,
    AgentMetadata,
    AgentType,
    CancellationToken,
    Subscription,
    TopicId,
)
from autogen_core.exceptions import (
    NotAccessibleError,
    RegistrationError,
    UndeliverableException,
)
from autogen_core.lowlevel import BaseRuntime, Delivery, Envelope, Interventions, Mailbox, Observer, new_message_id
from autogen_ext.runtimes._shared.deadlines import time_left
from autogen_ext.runtimes._shared.local import Local
from autogen_ext.runtimes._shared.signals import wait_for_signal

from ._calls import Calls
from ._codec import to_subscription
from ._control import Control
from ._echoes import Echoes
from ._link import Events, Link
from ._publishing import Publishing
from ._registry import Registering, Registry
from ._security import WorkerSecurity
from ._serving import LocalTable, Serving
from .protos import agent_worker_pb2 as wire

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

T = TypeVar("T", bound=Agent)

_logger = logging.getLogger(f"{ROOT_LOGGER_NAME}.runtimes.grpc")


class GrpcWorkerAgentRuntime(BaseRuntime):
    """A runtime whose agents work with those of all workers that are connected to the same host.

    When the connection breaks, it is made again, agent types and subscriptions are registered again, and requests that are
    not answered yet are sent again; a worker of ours that had them already does not handle them twice.

    Args:
        host_address: The host, such as `127.0.0.1:50051`.
        tracer_provider: Makes the spans; the global one if not given.
        extra_grpc_config: Options of the gRPC channel; they replace the usual ones one by one.
        payload_serialization_format: In what published messages are written that can be written in both:
            `application/json`, or `application/x-protobuf`.
        security: TLS, certificate and token; None: plain text.
        timeout: In how many seconds a request must be answered, if its sender does not say; None: no limit.
        shared_types: Agent types that other workers host, too; all of them must say so. Each key lives on one of them.
        max_handling: How many messages may be handled here at a time. Beyond it requests are refused with
            `MailboxFullError`, and events wait.
        reconnect_timeout: How many seconds the host may be away before those who wait for answers are told so.
        drain_timeout: How many seconds `stop` waits for handlers before it cancels them.
    """

    def __init__(
        self,
        host_address: str,
        tracer_provider: "TracerProvider | None" = None,
        extra_grpc_config: Sequence[tuple[str, Any]] | None = None,
        payload_serialization_format: str = JSON_DATA_CONTENT_TYPE,
        *,
        security: WorkerSecurity | None = None,
        timeout: float | None = None,
        shared_types: Collection[str] = (),
        max_handling: int = 10_000,
        reconnect_timeout: float = 60.0,
        drain_timeout: float = 30.0,
    ) -> None:
        if payload_serialization_format not in {JSON_DATA_CONTENT_TYPE, PROTOBUF_DATA_CONTENT_TYPE}:
            raise ValueError(
                f"Unsupported payload serialization format: {payload_serialization_format!r}. Expected "
                f"{JSON_DATA_CONTENT_TYPE!r} or {PROTOBUF_DATA_CONTENT_TYPE!r}."
            )
        super().__init__()
        self._subscriptions = table = LocalTable()
        self._timeout = timeout
        self._shared = frozenset(shared_types)
        self._reconnect_timeout = reconnect_timeout
        self._drain_timeout = drain_timeout
        self._mailbox = mailbox = Mailbox()
        self._observer = observer = Observer(tracer_provider, runtime="GrpcWorkerAgentRuntime")
        self._delivery = Delivery(self._directory, table, mailbox, Interventions([]), observer, _noted)
        events = Events(self._take, self._take_control, self._rejoin, self._away)
        self._link = Link(host_address, extra_grpc_config or (), security, events)
        self._calls = Calls(self._link, self._serializers, observer)
        self._echoes = Echoes(self._calls)
        parts = self._directory, table, self._serializers, mailbox, observer
        self._serving = Serving(self._link, self._calls, self._echoes, parts, self._delivery, max_handling)
        self._control = Control(self._link, self._directory, self._serving.cancel)
        self._local = Local(self._directory, self._delivery, mailbox)
        self._registry = Registry(self._link, self._shared, reconnect_timeout)
        outgoing = self._directory, table, self._serializers, observer
        self._publishing = Publishing(
            self._link, self._registry, self._echoes, outgoing, payload_serialization_format, self._shared
        )
        self._started = False
        self._giving_up: asyncio.TimerHandle | None = None
        self._gone = False

    # Life

    @property
    def ready(self) -> bool:
        """Whether it is started, connected, and known to the host with all that it hosts; not while it stops."""
        return self._started and not self._serving.stopping and self._registry.joined

    async def start(self) -> None:
        """Connect to the host.

        Raises:
            ValueError: It is started already.
            grpc.aio.AioRpcError: There is no host, or it cannot be trusted.
            NotPermittedError: The host does not admit this worker.
        """
        if self._started:
            raise ValueError("Runtime is already running.")
        await self._link.start()
        self._registry.enter()
        self._started, self._serving.stopping = True, False
        try:
            await self._registry.join(self._directory.types, self._subscriptions)
            self._forget_giving_up()
        except BaseException:
            self._started = False
            await self._link.stop()
            raise

    async def stop(self) -> None:
        """Finish what is being handled, answer those who wait for agents elsewhere with an error, and disconnect.

        Requests that come meanwhile are refused. Handlers that take longer than `drain_timeout` are cancelled.

        Raises:
            RuntimeError: It is not started.
        """
        if not self._started:
            raise RuntimeError("Runtime is not running.")
        await self._serving.drain(self._drain_timeout)
        self._started = False
        self._registry.leave()
        await self._echoes.stop()
        self._calls.fail("the runtime stopped")
        await self._serving.stop()
        await self._control.stop()
        await self._link.stop()
        self._forget_giving_up()
        await self._directory.stop()

    async def stop_when_signal(self, signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT)) -> None:
        """Work until the process gets one of the signals, then stop as `stop` does."""
        await wait_for_signal(signals)
        await self.stop()

    async def close(self) -> None:
        """Stop if it is started, and close all agents, each once."""
        if self._started:
            await self.stop()
        await self._directory.close()

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

        With `timeout`, the answer must be there within so many seconds, and what the handler sends in turn must be answered
        earlier still.

        Raises:
            ValueError: The runtime is not started, or the message cannot be written.
            DeadlineExceededError: No answer in time; the handler is cancelled.
            RemoteError: The handler, in another process, raised. Where its error is one of Python's own, this one is caught
                by the same class.
        """
        self._require_started()
        token = cancellation_token or CancellationToken()
        if token.is_cancelled():
            raise asyncio.CancelledError(f"The cancellation token of the message for {recipient} is cancelled already.")
        envelope = Envelope(message, sender, recipient, token, message_id or new_message_id(), self._observer.watch())
        if envelope.watch is not None:
            self._observer.sent(envelope)
        left = time_left(timeout, self._timeout)
        if recipient.type in self._directory.types and recipient.type not in self._shared:
            if self._echoes.busy and self._echoes.holds_back(recipient):
                left = await self._echoes.wait(recipient, token, left)
                if not self._started:
                    raise UndeliverableException.runtime_stopped(recipient)
            return await self._local.send(envelope, recipient, left, own_token=cancellation_token is None)
        if self._gone:
            raise UndeliverableException(f"The host is away, and with it {recipient}.", recipient=recipient)
        if envelope.watch is not None:
            self._observer.on_its_way(envelope)
        try:
            return await self._calls.call(envelope, recipient, left)
        finally:
            if envelope.watch is not None:
                self._observer.settled(envelope)

    async def publish_message(
        self,
        message: Any,
        topic_id: TopicId,
        *,
        sender: AgentId | None = None,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> None:
        """Hand a message to the host, which passes it to all who hear the topic; as `AgentRuntime.publish_message`.

        It returns once the message waits to be written. While too much waits, it is held back. Where the token is cancelled
        already, nothing is published.

        Raises:
            ValueError: The runtime is not started, or the message cannot be written.
            MailboxFullError: Too much still waited after five seconds.
            MessageTooLargeError: The message is too long for the host.
            NotPermittedError: This worker has no right to publish to topics of this type.
        """
        self._require_started()
        if cancellation_token is not None and cancellation_token.is_cancelled():
            return  # whoever gave up already wants no delivery; nobody cancelled this task
        self._publishing.check(topic_id)
        token = cancellation_token or CancellationToken()
        id = message_id or new_message_id()
        await self._publishing.publish(Envelope(message, sender, topic_id, token, id, self._observer.watch()))

    def _require_started(self) -> None:
        if not self._started:
            raise ValueError("Runtime must be running before messages can be sent. Call start() first.")

    # Agents and subscriptions

    async def register_factory(
        self,
        type: str | AgentType,
        agent_factory: Callable[[], T | Awaitable[T]],
        *,
        expected_class: type[T] | None = None,
    ) -> AgentType:
        """Say how agents of a type are made, here and for all workers; as `AgentRuntime.register_factory`.

        Raises:
            RuntimeError: The runtime is not started.
            RegistrationError: The type is registered here or, unless both share it, with another worker.
            NotPermittedError: This worker has no right to host the type.
        """
        agent_type = AgentType(type) if isinstance(type, str) else type
        if agent_type.type in self._directory.types or agent_type.type in self._serving.registering:
            raise RegistrationError(f"Agent with type {agent_type.type!r} already exists. Choose another type name.")
        async with Registering(self._serving.registering, agent_type.type):
            self._require_connected()
            await self._registry.register(agent_type.type)
            return await super().register_factory(agent_type, agent_factory, expected_class=expected_class)

    async def register_agent_instance(self, agent_instance: Agent, agent_id: AgentId) -> AgentId:
        """Let an agent that exists already live here; as `AgentRuntime.register_agent_instance`."""
        if agent_id.type in self._directory.types:
            return await super().register_agent_instance(agent_instance, agent_id)
        async with Registering(self._serving.registering, agent_id.type):
            self._require_connected()
            await self._registry.register(agent_id.type)
            return await super().register_agent_instance(agent_instance, agent_id)

    async def add_subscription(self, subscription: Subscription) -> None:
        """Add a subscription, here and at the host.

        Raises:
            RuntimeError: The runtime is not started.
            ValueError: It exists already, or is of a class of its own, which the host cannot know.
            NotPermittedError: This worker has no right to it.
        """
        written = to_subscription(subscription)
        self._require_connected()
        await self._registry.until_joined()
        await super().add_subscription(subscription)  # first here: events may come before the host's answer
        try:
            await self._registry.subscribe(written)
        except BaseException:
            await super().remove_subscription(subscription.id)
            raise

    async def remove_subscription(self, id: str) -> None:
        """Remove a subscription, here and at the host; raises `ValueError` if there is none with this id."""
        self._require_connected()
        await self._registry.unsubscribe(id)
        if any(known.id == id for known in self._subscriptions):
            await super().remove_subscription(id)

    def _require_connected(self) -> None:
        if not self._started:
            raise RuntimeError("Runtime must be started before agents and subscriptions are registered.")

    async def try_get_underlying_agent_instance(self, id: AgentId, type: type[T] = Agent) -> T:  # type: ignore[assignment]  # any agent by default
        """Return an agent's object; as `AgentRuntime.try_get_underlying_agent_instance`.

        Raises:
            NotAccessibleError: It does not live here.
            TypeError: It is not of the given class.
        """
        if not self._directory.knows(id):
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
        return await self._control.metadata(agent)

    async def agent_save_state(self, agent: AgentId) -> Mapping[str, Any]:
        """Return the state of an agent, wherever it lives; raises `LookupError` for an unknown type."""
        if self._lives_here(agent):
            return await super().agent_save_state(agent)
        return await self._control.save_state(agent)

    async def agent_load_state(self, agent: AgentId, state: Mapping[str, Any]) -> None:
        """Give an agent a state, wherever it lives; raises `LookupError` for an unknown type."""
        if self._lives_here(agent):
            await super().agent_load_state(agent, state)
        else:
            await self._control.load_state(agent, state)

    def _lives_here(self, agent: AgentId) -> bool:
        here = agent.type in self._directory.types and agent.type not in self._shared
        if not here:
            self._require_started()
        return here

    # The link

    async def _take(self, message: wire.Message) -> None:
        kind = message.WhichOneof("message")
        if kind == "request":
            await self._serving.request(message.request)
        elif kind == "response":
            self._calls.answered(message.response)
        elif kind == "cloudEvent":
            await self._serving.event(message.cloudEvent)
        else:
            _logger.warning("the host sent an empty message")

    def _take_control(self, message: wire.ControlMessage) -> None:
        self._control.take(message)

    async def _rejoin(self) -> None:
        """Register everything again with a host that does not know this connection."""
        await self._registry.join(self._directory.types, self._subscriptions)
        self._forget_giving_up()
        self._calls.send_again()

    def _away(self) -> None:
        self._registry.away()
        self._echoes.forget()
        if self._giving_up is None:
            self._giving_up = asyncio.get_running_loop().call_later(self._reconnect_timeout, self._give_up)

    def _give_up(self) -> None:
        self._gone = True
        self._calls.fail("the host is away")

    def _forget_giving_up(self) -> None:
        self._gone = False
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None


def _noted(error: BaseException) -> None:
    """Do nothing more about the failure of an event's handler: the observer has logged and counted it."""
