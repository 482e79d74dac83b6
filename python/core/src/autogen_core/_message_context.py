"""What a handler is told about the message it handles. Stands on identity and cancellation."""

from dataclasses import dataclass

from autogen_core._cancellation import CancellationToken
from autogen_core._identity import AgentId, TopicId


@dataclass
class MessageContext:
    """The circumstances of a message.

    Attributes:
        sender: The agent that sent it; None if it came from outside of the runtime.
        topic_id: The topic it was published to; None for a direct message.
        is_rpc: Whether the sender waits for an answer.
        cancellation_token: Cancelled when the sender no longer wants the work done. Pass it on to what you call.
        message_id: Unique to this message.
    """

    sender: AgentId | None
    topic_id: TopicId | None
    is_rpc: bool
    cancellation_token: CancellationToken
    message_id: str
