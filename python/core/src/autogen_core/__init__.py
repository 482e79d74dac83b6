"""The actor kernel: agents that exchange typed messages on a runtime, and the interfaces to models, tools and memory.

This is the front door: a list of names. Those that stand on pydantic are loaded when they are first asked for, so that a
program pays only for what it uses.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from autogen_core._base_agent import BaseAgent
from autogen_core._cancellation import CancellationToken
from autogen_core._closure_agent import ClosureAgent, ClosureContext
from autogen_core._context import (
    AgentInstantiationContext,
    MessageHandlerContext,
    SubscriptionInstantiationContext,
)
from autogen_core._contracts import Agent, AgentProxy, AgentRuntime
from autogen_core._identity import AgentId, AgentMetadata, AgentType, TopicId
from autogen_core._image import Image
from autogen_core._intervention import DefaultInterventionHandler, DropMessage, InterventionHandler
from autogen_core._message_context import MessageContext
from autogen_core._names import (
    EVENT_LOGGER_NAME,
    JSON_DATA_CONTENT_TYPE,
    PROTOBUF_DATA_CONTENT_TYPE,
    ROOT_LOGGER_NAME,
    TRACE_LOGGER_NAME,
)
from autogen_core._routing import RoutedAgent, event, message_handler, rpc
from autogen_core._runtime.single_threaded import SingleThreadedAgentRuntime
from autogen_core._serialization import MessageSerializer, UnknownPayload, try_get_known_serializers_for_type
from autogen_core._subscriptions import (
    DefaultSubscription,
    DefaultTopicId,
    Subscription,
    TypePrefixSubscription,
    TypeSubscription,
    default_subscription,
    type_subscription,
)
from autogen_core._telemetry import trace_create_agent_span, trace_invoke_agent_span, trace_tool_span

if TYPE_CHECKING:
    from autogen_core._cache_store import CacheStore, InMemoryStore
    from autogen_core._component import (
        Component,
        ComponentBase,
        ComponentFromConfig,
        ComponentLoader,
        ComponentModel,
        ComponentSchemaType,
        ComponentToConfig,
        ComponentType,
        is_component_class,
        is_component_instance,
    )
    from autogen_core.models._types import FunctionCall

__version__ = "0.8.0.dev0"

_LATE = {
    "CacheStore": "_cache_store",
    "Component": "_component",
    "ComponentBase": "_component",
    "ComponentFromConfig": "_component",
    "ComponentLoader": "_component",
    "ComponentModel": "_component",
    "ComponentSchemaType": "_component",
    "ComponentToConfig": "_component",
    "ComponentType": "_component",
    "FunctionCall": "models._types",
    "InMemoryStore": "_cache_store",
    "is_component_class": "_component",
    "is_component_instance": "_component",
}


def __getattr__(name: str) -> Any:
    module = _LATE.get(name)
    if module is None:
        raise AttributeError(f"module 'autogen_core' has no attribute {name!r}")
    value = getattr(import_module(f"autogen_core.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_LATE])


__all__ = [
    "EVENT_LOGGER_NAME",
    "JSON_DATA_CONTENT_TYPE",
    "PROTOBUF_DATA_CONTENT_TYPE",
    "ROOT_LOGGER_NAME",
    "TRACE_LOGGER_NAME",
    "Agent",
    "AgentId",
    "AgentInstantiationContext",
    "AgentMetadata",
    "AgentProxy",
    "AgentRuntime",
    "AgentType",
    "BaseAgent",
    "CacheStore",
    "CancellationToken",
    "ClosureAgent",
    "ClosureContext",
    "Component",
    "ComponentBase",
    "ComponentFromConfig",
    "ComponentLoader",
    "ComponentModel",
    "ComponentSchemaType",
    "ComponentToConfig",
    "ComponentType",
    "DefaultInterventionHandler",
    "DefaultSubscription",
    "DefaultTopicId",
    "DropMessage",
    "FunctionCall",
    "Image",
    "InMemoryStore",
    "InterventionHandler",
    "MessageContext",
    "MessageHandlerContext",
    "MessageSerializer",
    "RoutedAgent",
    "SingleThreadedAgentRuntime",
    "Subscription",
    "SubscriptionInstantiationContext",
    "TopicId",
    "TypePrefixSubscription",
    "TypeSubscription",
    "UnknownPayload",
    "default_subscription",
    "event",
    "is_component_class",
    "is_component_instance",
    "message_handler",
    "rpc",
    "trace_create_agent_span",
    "trace_invoke_agent_span",
    "trace_tool_span",
    "try_get_known_serializers_for_type",
    "type_subscription",
]
