"""Who is spoken to: agent types, agent ids and topics, checked once when they are made. Stands on nothing."""

import re
from dataclasses import dataclass
from typing import Self, TypedDict

_TYPE = re.compile(r"[\w\-\.]+")
_TOPIC_TYPE = re.compile(r"[\w\-\.\:\=]+")


@dataclass(eq=True, frozen=True)
class AgentType:
    """The name under which a kind of agent is registered in a runtime."""

    type: str


class AgentId:
    """The identity of one agent: a type, which says how it is made, and a key, which tells it from others of its type.

    Raises:
        ValueError: The type holds other characters than letters, digits, `_`, `-` and `.`.
    """

    __slots__ = ("_hash", "_key", "_type")

    def __init__(self, type: str | AgentType, key: str) -> None:
        if isinstance(type, AgentType):
            type = type.type
        if _TYPE.fullmatch(type) is None:
            raise ValueError(f"Invalid agent type: {type!r}. Expected letters, digits, '_', '-' and '.' only.")
        self._type = type
        self._key = key
        self._hash = hash((type, key))

    @classmethod
    def from_str(cls, agent_id: str) -> Self:
        """Read an id written as `type/key`.

        Raises:
            ValueError: The text has no `/` in it, or the type before it is not valid.
        """
        type, slash, key = agent_id.partition("/")
        if not slash:
            raise ValueError(f"Invalid agent id: {agent_id!r}. Expected 'type/key'.")
        return cls(type, key)

    @property
    def type(self) -> str:
        """The agent's type: the name under which its factory is registered."""
        return self._type

    @property
    def key(self) -> str:
        """What tells this agent from others of its type."""
        return self._key

    def __eq__(self, value: object) -> bool:
        if not isinstance(value, AgentId):
            return NotImplemented
        return self._type == value._type and self._key == value._key

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return f"{self._type}/{self._key}"

    def __repr__(self) -> str:
        return f'AgentId(type="{self._type}", key="{self._key}")'


class AgentMetadata(TypedDict):
    """What an agent tells about itself."""

    type: str
    key: str
    description: str


@dataclass(eq=False, frozen=True)
class TopicId:
    """The scope of a published message: a type, which says what it is about, and a source, which says where it comes from.

    Follows the CloudEvents attributes `type` and `source` (https://cloudevents.io).

    Raises:
        ValueError: The type holds other characters than letters, digits, `_`, `-`, `.`, `:` and `=`.
    """

    type: str
    source: str

    def __post_init__(self) -> None:
        if _TOPIC_TYPE.fullmatch(self.type) is None:
            raise ValueError(
                f"Invalid topic type: {self.type!r}. Expected letters, digits, '_', '-', '.', ':' and '=' only."
            )

    @classmethod
    def from_str(cls, topic_id: str) -> Self:
        """Read a topic written as `type/source`.

        Raises:
            ValueError: The text has no `/` in it, or the type before it is not valid.
        """
        type, slash, source = topic_id.partition("/")
        if not slash:
            raise ValueError(f"Invalid topic id: {topic_id!r}. Expected 'type/source'.")
        return cls(type, source)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TopicId):
            return NotImplemented
        return self.type == other.type and self.source == other.source

    def __hash__(self) -> int:
        return hash((self.type, self.source))

    def __str__(self) -> str:
        return f"{self.type}/{self.source}"
