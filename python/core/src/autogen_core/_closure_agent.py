"""`ClosureAgent`: an agent made of one function, for glue code and for taking messages out of a runtime.

Stands on the base agent and on the handler decorator's reading of signatures.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Protocol, TypeVar

from autogen_core._base_agent import BaseAgent, UnboundSubscription, make_subscriptions, subscribe
from autogen_core._cancellation import CancellationToken
from autogen_core._contracts import AgentRuntime
from autogen_core._identity import AgentId, AgentType, TopicId
from autogen_core._message_context import MessageContext
from autogen_core._names import TRACE_LOGGER_NAME
from autogen_core._routing import alternatives
from autogen_core._serialization import try_get_known_serializers_for_type
from autogen_core.exceptions import CantHandleException, HandlerSignatureError

_logger = logging.getLogger(TRACE_LOGGER_NAME)

T = TypeVar("T")


class ClosureContext(Protocol):
    """What the function of a `ClosureAgent` may do: know its agent's id, send and publish."""

    @property
    def id(self) -> AgentId:
        """The agent's identity."""
        ...

    async def send_message(
        self,
        message: Any,
        recipient: AgentId,
        *,
        cancellation_token: CancellationToken | None = None,
        message_id: str | None = None,
    ) -> Any:
        """Send a message and wait for its answer; as `AgentRuntime.send_message`."""
        ...

    async def publish_message(
        self, message: Any, topic_id: TopicId, *, cancellation_token: CancellationToken | None = None
    ) -> None:
        """Publish a message to a topic; as `AgentRuntime.publish_message`."""
        ...


class ClosureAgent(BaseAgent, ClosureContext):
    """An agent made of one function. Usually registered by `register_closure`.

    Args:
        description: What the agent is for, in a sentence.
        closure: `async def name(agent: ClosureContext, message: T, ctx: MessageContext) -> R`; `T` may be a union.
        unknown_type_policy: For a message of another type than `T`: raise `CantHandleException`, log a warning, or nothing.

    Raises:
        HandlerSignatureError: The function does not have that form.
    """

    def __init__(
        self,
        description: str,
        closure: Callable[[ClosureContext, T, MessageContext], Awaitable[Any]],
        *,
        unknown_type_policy: Literal["error", "warn", "ignore"] = "warn",
    ) -> None:
        super().__init__(description)
        self._closure: Callable[[ClosureContext, Any, MessageContext], Awaitable[Any]] = closure
        self._unknown_type_policy = unknown_type_policy
        self._expected_types = _taken_types(closure)

    async def on_message_impl(self, message: Any, ctx: MessageContext) -> Any:
        """Call the function, if it takes messages of this type."""
        if Any in self._expected_types or type(message) in self._expected_types:
            return await self._closure(self, message, ctx)
        text = f"{self.id} does not take a {type(message).__name__}."
        if self._unknown_type_policy == "error":
            raise CantHandleException(text, recipient=self.id, message_type=message.__class__)
        if self._unknown_type_policy == "warn":
            _logger.warning("%s", text)
        return None

    async def save_state(self) -> Mapping[str, Any]:
        """Return nothing: a function keeps no state that the agent knows of."""
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Do nothing: there is no state."""

    @classmethod
    async def register_closure(
        cls,
        runtime: AgentRuntime,
        type: str,
        closure: Callable[[ClosureContext, T, MessageContext], Awaitable[Any]],
        *,
        unknown_type_policy: Literal["error", "warn", "ignore"] = "warn",
        skip_direct_message_subscription: bool = False,
        description: str = "",
        subscriptions: UnboundSubscription | None = None,
    ) -> AgentType:
        """Register a function as an agent type.

        Args:
            runtime: Where the agents will live.
            type: Their agent type, unique in the runtime.
            closure: The function; see the class.
            unknown_type_policy: What to do with messages of other types; see the class.
            skip_direct_message_subscription: Leave out the subscription to topics whose type begins with `{type}:`.
            description: What the agent is for, in a sentence.
            subscriptions: Makes the subscriptions.

        Raises:
            ValueError: The type is registered already.
            HandlerSignatureError: The function does not have the right form.
        """
        taken = _taken_types(closure)

        def make() -> ClosureAgent:
            return ClosureAgent(description=description, closure=closure, unknown_type_policy=unknown_type_policy)

        agent_type = await runtime.register_factory(AgentType(type), make, expected_class=cls)
        own = [] if subscriptions is None else await make_subscriptions(subscriptions, agent_type)
        await subscribe(runtime, agent_type, own, direct=not skip_direct_message_subscription)
        for message_type in taken:
            if message_type is not Any:
                runtime.add_message_serializer(try_get_known_serializers_for_type(message_type))
        return agent_type


def _taken_types(closure: Callable[..., Any]) -> tuple[Any, ...]:
    """Return the message types that a closure's second parameter is annotated with."""
    name = getattr(closure, "__qualname__", repr(closure))
    parameters = list(inspect.signature(closure).parameters.values())
    if len(parameters) != 3:
        raise HandlerSignatureError(
            f"{name} takes {len(parameters)} parameters. Expected `async def {name}(agent: ClosureContext, message: T, "
            "ctx: MessageContext)`."
        )
    message = parameters[1].name
    try:
        annotation = inspect.get_annotations(closure, eval_str=True).get(message)
    except (NameError, TypeError) as error:
        raise HandlerSignatureError(f"{name}: the annotation of {message!r} cannot be evaluated: {error}.") from error
    if annotation is None:
        raise HandlerSignatureError(f"{name}: the message parameter {message!r} has no annotation.")
    return alternatives(annotation)
