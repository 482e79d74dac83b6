"""Writes our messages and tools in Anthropic's form: strict about what the API asks of a conversation.

It wants users and the assistant to take turns, beginning with a user; a result right behind each call, and none without a
call; ids that are unique and of plain characters; no text without visible characters. What does not fit is made to fit
without losing words. Stands on the model contract and `_shared`; must not know how requests are sent.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary

from autogen_core import FunctionCall, Image
from autogen_core.model_context import heal_history
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    ModelInfo,
    SystemMessage,
    UserMessage,
)
from autogen_ext.models._shared._names import normalize_name
from autogen_ext.models._shared._tools import ToolSpec

from ._opaque import Block, recalled
from ._schemas import enforceable

EncodeImage = Callable[[Image], Block]
"""Returns the content block of an image."""

OPENING = "(What was said before is not shown.)"
"""Stands for the user at the beginning of a conversation whose beginning was cut off."""

_FORBIDDEN_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")
_THOUGHTS = ("thinking", "redacted_thinking")


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation in Anthropic's form."""

    system: str
    messages: list[dict[str, Any]]
    tools: frozenset[str]
    """The tools that were called in it. The API wants a request to define tools if there are any."""
    lost_thoughts: bool
    """The results at its end belong to calls whose thoughts are not known any more."""


@dataclass(frozen=True, slots=True)
class MessageEncoder:
    """Encodes conversations for one client."""

    vision: bool
    several_systems: bool
    """The model takes system messages anywhere; otherwise they must follow each other."""
    server: str = ""
    """The host that requests go to; what another one sent for itself is not sent there."""

    @classmethod
    def for_model(cls, info: ModelInfo, server: str) -> "MessageEncoder":
        """Make the encoder that suits a model."""
        return cls(info["vision"], bool(info.get("multiple_system_messages")), server)

    def encode(self, messages: Sequence[LLMMessage], image: EncodeImage | None = None) -> Conversation:
        """Return the conversation in Anthropic's form. Calls without a result get one that says so.

        Raises:
            ValueError: The model cannot take it: an image without vision, system messages apart from each other where
                they have to be together, or nothing to answer.
        """
        if not self.several_systems:
            _check_system_messages(messages)
        writer = _Writer(self, image or encode_image)
        for message in heal_history(messages).messages:
            writer.write(message)
        return writer.finish()


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one side says until the other does."""

    role: str
    blocks: list[Block]

    @property
    def answers_calls(self) -> bool:
        return self.role == "user" and self.blocks[0]["type"] == "tool_result"

    @property
    def encoded(self) -> dict[str, Any]:
        plain = len(self.blocks) == 1 and _is_text(self.blocks[0])
        return {"role": self.role, "content": self.blocks[0]["text"] if plain else self.blocks}


class _Writer:
    """Writes one conversation."""

    def __init__(self, encoder: MessageEncoder, image: EncodeImage) -> None:
        self._encoder = encoder
        self._image = image
        self._systems: list[str] = []
        self._turns: list[_Turn] = []
        self._ids: set[str] = set()
        """Ids of calls so far, as they are sent."""
        self._open: dict[str, str] = {}
        """The ids of the last calls that have no result yet, and as what they are sent."""
        self._tools: set[str] = set()

    def write(self, message: LLMMessage) -> None:
        if isinstance(message, UserMessage):
            self._add("user", self._user(message))
        elif isinstance(message, AssistantMessage):
            self._add("assistant", self._assistant(message))
        elif isinstance(message, FunctionExecutionResultMessage):
            self._add("user", [self._result(result) for result in message.content])
        elif not self._turns or not self._encoder.several_systems:
            self._systems.append(message.content)
        elif message.content.strip():
            self._turns.append(_Turn("system", [_text(message.content)]))

    def finish(self) -> Conversation:
        turns, system = self._turns, "\n".join(self._systems).strip()
        if not turns:
            if not system:
                raise ValueError("There is nothing to send: every message is empty. Pass a UserMessage with text.")
            turns, system = [_Turn("user", [_text(system)])], ""
        if turns[0].role != "user":
            turns.insert(0, _Turn("user", [_text(OPENING)]))
        for turn in turns:
            if turn.role == "user" and len(turn.blocks) > 1:  # the API wants results first
                turn.blocks.sort(key=lambda block: block["type"] != "tool_result")
        last = turns[-1]
        if last.role == "assistant" and _is_text(last.blocks[-1]):
            last.blocks[-1] = _text(last.blocks[-1]["text"].rstrip())  # the API refuses blanks at the end
        messages = [turn.encoded for turn in turns]
        return Conversation(system, messages, frozenset(self._tools), _thoughts_are_lost(turns))

    def _add(self, role: str, blocks: list[Block]) -> None:
        """Add blocks to the turn of a role, or begin its turn."""
        if not blocks:
            return
        if self._turns and self._turns[-1].role == role:
            self._turns[-1].blocks.extend(blocks)
        else:
            self._turns.append(_Turn(role, blocks))

    def _user(self, message: UserMessage) -> list[Block]:
        if isinstance(message.content, str):
            return [_text(message.content)] if message.content.strip() else []
        parts = message.content
        if not self._encoder.vision and any(isinstance(part, Image) for part in parts):
            raise ValueError(
                "Model does not support vision and image was provided. Use a model that sees images, say so in "
                "model_info, or remove images before the call."
            )
        return [
            self._image(part) if isinstance(part, Image) else _text(part)
            for part in parts
            if isinstance(part, Image) or part.strip()
        ]

    def _assistant(self, message: AssistantMessage) -> list[Block]:
        blocks = recalled(message, self._encoder.server)
        if blocks is not None and self._ids.isdisjoint(block.get("id") for block in blocks):
            self._note_calls(blocks)
            return list(blocks)
        if isinstance(message.content, str):
            return [_text(message.content)] if message.content.strip() else []
        thoughts = [_text(message.thought)] if message.thought and message.thought.strip() else []
        self._open = {}
        return [*thoughts, *(self._call(call) for call in message.content)]

    def _note_calls(self, blocks: list[Block]) -> None:
        calls = [block for block in blocks if block.get("type") == "tool_use"]
        self._open = {block["id"]: block["id"] for block in calls}
        self._ids.update(self._open)
        self._tools.update(block["name"] for block in calls)

    def _call(self, call: FunctionCall) -> Block:
        name, call_id = normalize_name(call.name) or "unnamed", self._free_id(call.id)
        self._open[call.id] = call_id
        self._tools.add(name)
        return {"type": "tool_use", "id": call_id, "name": name, "input": _arguments(call.arguments)}

    def _free_id(self, wanted: str) -> str:
        """Return an id that the API takes: other providers use other characters, or the same ids in each turn."""
        plain = _FORBIDDEN_IN_IDS.sub("_", wanted) or "call"
        free, number = plain, 2
        while free in self._ids:
            free, number = f"{plain}_{number}", number + 1
        self._ids.add(free)
        return free

    def _result(self, result: FunctionExecutionResult) -> Block:
        call_id = self._open.pop(result.call_id, None)
        if call_id is None:  # its call was cut off, or has a result already
            return _text(f"Result of {result.name}: {result.content}")
        block: Block = {"type": "tool_result", "tool_use_id": call_id, "content": result.content}
        return {**block, "is_error": True} if result.is_error else block


def encode_image(image: Image) -> Block:
    """Return an image as a content block. What was encoded once is kept as long as the image is."""
    kept = _encoded_images.get(image)
    if kept is None or kept[0] is not image.image:
        kept = _encoded_images[image] = (image.image, image.to_base64())
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": kept[1]}}


def encode_tool(tool: ToolSpec, *, enforced: bool) -> dict[str, Any]:
    """Return a tool in Anthropic's form; a strict one is sent as such where the API can enforce its schema."""
    schema: dict[str, Any] = {"type": "object", "properties": {}, **tool.parameters}
    encoded: dict[str, Any] = {"name": tool.name, "description": tool.description, "input_schema": schema}
    if tool.strict and enforced:
        return {**encoded, "input_schema": enforceable(schema), "strict": True}
    return encoded


def image_tokens(image: Image) -> int:
    """Return the tokens of an image by Anthropic's rule: one for 750 pixels, once no side is longer than 1568.

    https://platform.claude.com/docs/en/build-with-claude/vision
    """
    width, height = image.image.size
    scale = min(1.0, 1568 / max(width, height))
    return max(1, round(width * scale * height * scale / 750))


_encoded_images: "WeakKeyDictionary[Image, tuple[object, str]]" = WeakKeyDictionary()


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _arguments(text: str) -> dict[str, Any]:
    """Return a call's arguments as the object that the API wants; what is none is put into one as it stands."""
    value: Any = {}
    try:
        value = json.loads(text) if text.strip() else {}
    except ValueError:
        value = text
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {"arguments": value}


def _check_system_messages(messages: Sequence[LLMMessage]) -> None:
    places = [place for place, message in enumerate(messages) if isinstance(message, SystemMessage)]
    if places and places[-1] - places[0] + 1 != len(places):
        raise ValueError(
            "Multiple and Not continuous system messages are not supported if "
            "model_info['multiple_system_messages'] is False. Put them beside each other, or set it to True if the "
            "model takes them anywhere."
        )


def _is_text(block: Block) -> bool:
    return block.keys() == {"type", "text"}


def _thoughts_are_lost(turns: list[_Turn]) -> bool:
    """Tell whether the last turn of the assistant, whose calls were just answered, lacks the thoughts it began with."""
    if not turns[-1].answers_calls:
        return False
    first: Block = {}
    for turn in reversed(turns):
        if turn.role == "assistant":
            first = turn.blocks[0]
        elif not turn.answers_calls:
            break
    return first.get("type") not in _THOUGHTS
