"""What can go wrong, as a tree of errors that carry fields; their texts are derived from these. Stands on identities.

AutoGenError
├── DeliveryError                      a message could not be handed over
│   ├── UndeliverableException         nobody there: unknown recipient, no handler, runtime stopped (a LookupError)
│   ├── MessageDroppedException        an intervention handler dropped it
│   ├── CantHandleException            the agent refuses messages of this type
│   ├── DeadlineExceededError          no answer in the time that was given (a TimeoutError)
│   ├── MailboxFullError               the recipient's side has more to do than it may keep
│   ├── MessageTooLargeError           more bytes than the transport takes (a ValueError)
│   ├── NotPermittedError              the sender's process has no right to it (a PermissionError)
│   └── RemoteError                    a handler in another process raised
├── NotAccessibleError                 the agent's instance lives elsewhere, or has another class
├── RegistrationError                  a type taken, a wrong class, an unknown subscription (a ValueError)
├── HandlerSignatureError              a decorated handler cannot be called with messages (a TypeError)
└── ComponentError                     a component configuration that cannot be used (a ValueError)
"""

from collections.abc import Collection
from typing import Any

from autogen_core._identity import AgentId, TopicId

__all__ = [
    "AutoGenError",
    "CantHandleException",
    "ComponentError",
    "DeadlineExceededError",
    "DeliveryError",
    "HandlerSignatureError",
    "MailboxFullError",
    "MessageDroppedException",
    "MessageTooLargeError",
    "NotAccessibleError",
    "NotPermittedError",
    "RegistrationError",
    "RemoteError",
    "UndeliverableException",
]


class AutoGenError(Exception):
    """The root of all errors that this package defines."""


class DeliveryError(AutoGenError):
    """A message could not be handed over.

    Attributes:
        recipient: The agent or topic it was meant for, where known.
        message_type: The class of the message, where known.
    """

    def __init__(
        self, text: str = "", *, recipient: AgentId | TopicId | None = None, message_type: type[Any] | None = None
    ) -> None:
        super().__init__(text)
        self.recipient = recipient
        self.message_type = message_type


class UndeliverableException(DeliveryError, LookupError):
    """Nobody could take the message: the recipient is unknown, has no handler for it, or the runtime stopped.

    Attributes:
        reason: `unknown_recipient` where that is why; empty otherwise.
    """

    reason = ""

    @classmethod
    def unknown_recipient(cls, recipient: AgentId, known: Collection[str]) -> "UndeliverableException":
        """Say which agent was asked for and which types there are."""
        names = ", ".join(sorted(known)) or "none"
        error = cls(
            f"Recipient not found: no agent type {recipient.type!r} is registered (registered types: {names}). "
            "Register it, or check the spelling.",
            recipient=recipient,
        )
        error.reason = "unknown_recipient"
        return error

    @classmethod
    def runtime_stopped(cls, recipient: AgentId | TopicId | None) -> "UndeliverableException":
        """Say that the runtime was stopped before the message was answered."""
        return cls(f"The runtime stopped before the message for {recipient} was answered.", recipient=recipient)


class MessageDroppedException(DeliveryError):
    """An intervention handler dropped the message, so there is no answer to wait for."""


class CantHandleException(DeliveryError):
    """The agent does not handle messages of this type; agents raise it from `on_message`."""


class DeadlineExceededError(DeliveryError, TimeoutError):
    """No answer came in the time that the caller gave; its request is cancelled."""


class MailboxFullError(DeliveryError):
    """The recipient's process, or the way there, holds as many messages as it may. Send again later."""


class MessageTooLargeError(DeliveryError, ValueError):
    """The message has more bytes than the transport takes; nothing was sent."""


class NotPermittedError(DeliveryError, PermissionError):
    """The sender's process has no right to call this agent, to publish there, or to register that type."""


class RemoteError(DeliveryError):
    """A handler in another process raised.

    Attributes:
        type_name: The error's class there, with its module, as `builtins.KeyError`; empty if that process does not tell.
        text: What the error said there.
        traceback: Where it was raised, as Python prints it; empty if that process does not tell.
        message_id: The id of the message that was handled.
    """

    def __init__(
        self,
        text: str,
        *,
        type_name: str = "",
        traceback: str = "",
        recipient: AgentId | TopicId | None = None,
        message_id: str | None = None,
    ) -> None:
        name = type_name.removeprefix("builtins.")
        super().__init__(f"{name}: {text}" if name else text, recipient=recipient)
        self.text = text
        self.type_name = type_name
        self.traceback = traceback
        self.message_id = message_id

    def __str__(self) -> str:
        return str(self.args[0])


class NotAccessibleError(AutoGenError):
    """The instance of an agent cannot be had here: it lives in another process."""


class RegistrationError(AutoGenError, ValueError):
    """An agent or subscription cannot be registered as asked."""


class HandlerSignatureError(AutoGenError, TypeError, AssertionError):
    """A decorated message handler is not `async def handler(self, message: T, ctx: MessageContext) -> R`.

    Raised when the class is defined. Also an `AssertionError`, which AutoGen 0.7.5 raised here.
    """


class ComponentError(AutoGenError, ValueError):
    """A component cannot be dumped to, or loaded from, the given configuration."""
