"""The kit that another runtime is built from: what `SingleThreadedAgentRuntime` itself stands on.

A runtime derives from `BaseRuntime`, which keeps its agents. It takes messages in (`Envelope`, `Mailbox`), finds or makes the
agents (`Directory`), knows who hears a topic (`SubscriptionTable`), lets interventions and handlers run (`Interventions`,
`Delivery`), tells those who watch (`Observer`), and writes messages that leave the process (`SerializationRegistry`).
Who counts or limits what runs and agents do asks the `RunScope` whose work is being done.
"""

from autogen_core._interrupt import Interrupt
from autogen_core._intervention import Interventions
from autogen_core._run_scope import RunScope
from autogen_core._runtime.base import BaseRuntime
from autogen_core._runtime.delivery import Delivery
from autogen_core._runtime.directory import Directory
from autogen_core._runtime.eager import start_eagerly
from autogen_core._runtime.envelope import Envelope, new_message_id
from autogen_core._runtime.mailbox import Mailbox
from autogen_core._runtime.observer import ExceptionHook, Observer
from autogen_core._serialization import SerializationRegistry
from autogen_core._subscriptions import SubscriptionTable
from autogen_core._telemetry import tracing_enabled

__all__ = [
    "BaseRuntime",
    "Delivery",
    "Directory",
    "Envelope",
    "ExceptionHook",
    "Interrupt",
    "Interventions",
    "Mailbox",
    "Observer",
    "RunScope",
    "SerializationRegistry",
    "SubscriptionTable",
    "new_message_id",
    "start_eagerly",
    "tracing_enabled",
]
