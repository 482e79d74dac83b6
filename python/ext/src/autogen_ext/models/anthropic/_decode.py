"""Reads replies in Anthropic's form, whole or as events, into a `CreateResult`: tolerant, and telling what was odd.

Whole replies and streams are read into the same list of blocks and finished by the same code, so that both give equal
results. Stands on the model contract and `_shared`; reads the SDK's objects by attribute, since servers leave out or add any.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

from pydantic import BaseModel

from autogen_core import TRACE_LOGGER_NAME, FunctionCall
from autogen_core.models import CreateResult, FinishReasons, RequestUsage
from autogen_ext.models._shared._replies import is_known_stop_reason, normalize_stop_reason, usage_of
from autogen_ext.models._shared._text import extract_json, split_thought
from autogen_ext.models._shared._tool_calls import ToolCallAssembler

from ._opaque import Block, packed

_logger = logging.getLogger(TRACE_LOGGER_NAME)

_STOP_REASONS = {"model_context_window_exceeded": "max_tokens", "pause_turn": "unknown"}
"""Reasons to end that only Anthropic has, and their nearest common ones."""

_COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
_DETAILS = {
    "cached_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_creation_input_tokens",
    "reasoning_tokens": "thinking_tokens",
}
"""Details of a usage, and what the API calls them."""


@dataclass(frozen=True, slots=True)
class ReplyForm:
    """What the caller asked for and the model is known for; it decides how a reply is read."""

    model: str
    url: str
    """Where the request went; for error texts."""
    output: type[BaseModel] | None = None
    wants_json: bool = False
    answer_tool: str | None = None
    """The tool whose call is the answer."""
    server: str = ""
    """The host that answers."""
    reported: set[str] = field(default_factory=set[str])
    """Oddities of this server that were reported already; shared between the replies to one client."""


class Reply:
    """A reply while it is read: feed it a whole message or events, then ask for the result."""

    def __init__(self, form: ReplyForm) -> None:
        self.id: str | None = None
        self.model: str | None = None
        """The model that answered, as the server names it."""
        self._form = form
        self._blocks: list[Block] = []
        self._partial: dict[int, list[str]] = {}
        """The input of calls, by index, as it comes in pieces."""
        self._indices: dict[Any, int] = {}
        """The places of blocks, by the index that the server gives them."""
        self._counts: dict[str, int] = {}
        self._stop_reason: str | None = None
        self._stop_details: Any = None
        self._thinking = False
        self._ended = False
        self._whole = True
        """Every block is as the server meant it, so that it may be sent back."""
        self._oddities: list[str] = []

    @property
    def usage(self) -> RequestUsage:
        """What the server reported so far, tokens read from and written to its cache included; else zero."""
        read = sum(self._counts.get(name, 0) for name in _COUNTS[:3])
        details = {name: self._counts.get(count) for name, count in _DETAILS.items()}
        return usage_of(read, self._counts.get("output_tokens"), **details)

    @property
    def raw(self) -> dict[str, Any]:
        """What the server sent, for the log."""
        return {
            "id": self.id,
            "model": self.model,
            "content": self._blocks,
            "stop_reason": self._stop_reason,
            "usage": self._counts,
        }

    def feed_message(self, message: Any) -> None:
        """Read a whole reply.

        Raises:
            UnusableReplyError: It holds an error, or no answer.
        """
        content = _get(message, "content")
        if isinstance(content, str):
            self._oddities.append("the content was a text, not blocks")
            content = [{"type": "text", "text": content}]
        if not isinstance(content, list) or _get(message, "type") == "error":
            self._refuse(message)
        if not self._read_head(message):
            self._oddities.append("no usage was reported")
        self._read_ending(message)
        self._blocks.extend(_plain(block) for block in cast("list[Any]", content))
        self._ended = True

    def feed_unstreamed(self, message: Any) -> Iterator[str]:
        """Read a whole reply where a stream was expected; yield its text.

        Raises:
            UnusableReplyError: As `feed_message`.
        """
        self.feed_message(message)
        self._oddities.append("the reply was not streamed")
        yield from self._texts()

    def feed_event(self, event: Any) -> Iterator[str]:
        """Read an event of a stream; yield what the caller shall see of it. Unknown events are passed over.

        Thoughts are shown between `<think>` tags, as models do that have no field for it.
        """
        kind = _get(event, "type")
        if kind == "content_block_delta":
            yield from self._read_delta(_get(event, "index"), _get(event, "delta"))
        elif kind == "content_block_start":
            yield from self._begin_block(_get(event, "index"), _plain(_get(event, "content_block")))
        elif kind == "message_start":
            self._read_head(_get(event, "message"))
        elif kind == "message_delta":
            self._read_ending(_get(event, "delta"))
            self._read_usage(_get(event, "usage"))
        elif kind == "message_stop":
            self._ended = True

    def end_thinking(self) -> Iterator[str]:
        """Yield the closing tag if a thought was shown and not ended; to be called at the end of a stream, too."""
        if self._thinking:
            self._thinking = False
            yield "</think>"

    def result(self) -> CreateResult:
        """Return the result.

        Raises:
            pydantic.ValidationError: The answer does not fit the class that was asked for.
            UnusableReplyError: An answer of that class was cut off at the limit of tokens, or refused.
        """
        self._finish_blocks()
        assembler = ToolCallAssembler()
        answer: str | None = None
        for block in self._blocks:
            if block.get("type") != "tool_use":
                continue
            arguments = _json_text(block.get("input"))
            if block.get("name") == self._form.answer_tool:
                answer = arguments
            else:
                assembler.add_whole(call_id=block.get("id"), name=block.get("name"), arguments=arguments)
        calls = assembler.calls()
        self._oddities.extend(assembler.oddities)
        reason = self._finish_reason(calls, answer)
        text, thought = self._split_text(calls)
        if answer is not None:
            text = answer
        if not calls:
            text = self._checked(text, reason)
            if not text:
                self._oddities.append("the reply holds neither text nor tool calls")
        data = None
        if self._whole and answer is None and not assembler.oddities:
            data = packed(self._blocks, calls, self._form.server)
        self._report()
        return CreateResult(
            finish_reason=reason,
            content=calls or text,
            usage=self.usage,
            cached=False,
            thought=thought or None,
            provider_data=data,
        )

    def _finish_reason(self, calls: list[FunctionCall], answer: str | None) -> FinishReasons:
        reason = self._stop_reason
        if not self._ended and reason is None:
            self._oddities.append("the stream ended early")
        elif reason is None:
            self._oddities.append("no stop reason was given")
        else:
            reason = _STOP_REASONS.get(reason, reason)
            if not is_known_stop_reason(reason):
                self._oddities.append(f"stop reason {reason!r} is unknown")
        if answer is not None and reason == "tool_use" and not calls:
            return "stop"
        return normalize_stop_reason(reason, has_calls=bool(calls))

    def _split_text(self, calls: list[FunctionCall]) -> tuple[str, str | None]:
        """Return the text and the thought. A text beside calls has no place of its own in the contract but the thought."""
        thoughts = [str(block.get("thinking") or "") for block in self._blocks if block.get("type") == "thinking"]
        thought, text = split_thought("".join(self._texts()), reasoning_model=False)
        thought = "".join(thoughts) or thought
        return text, thought or (text if calls and text.strip() else None)

    def _checked(self, text: str, reason: FinishReasons) -> str:
        """Return a text, or the JSON in it where that was asked for, freed from fences and words around it."""
        if self._form.output is not None:
            if reason in ("length", "content_filter"):
                self._raise_unfinished(reason)
            text = extract_json(text) or text
            self._form.output.model_validate_json(text)
        elif self._form.wants_json:
            text = extract_json(text) or text
        return text

    def _texts(self) -> Iterator[str]:
        for block in self._blocks:
            text = block.get("text")
            if block.get("type") == "text" and isinstance(text, str) and text:
                yield text

    def _read_head(self, message: Any) -> bool:
        """Read what a message says about itself; tell whether it says what was used."""
        self.id, self.model = _string(_get(message, "id")), _string(_get(message, "model"))
        return self._read_usage(_get(message, "usage"))

    def _read_usage(self, usage: Any) -> bool:
        for name in _COUNTS:
            count = _get(usage, name)
            if isinstance(count, int):
                self._counts[name] = count  # what streams report is the sum so far
        thinking = _get(_get(usage, "output_tokens_details"), "thinking_tokens")
        if isinstance(thinking, int):
            self._counts["thinking_tokens"] = thinking
        return usage is not None

    def _read_ending(self, message: Any) -> None:
        reason = _get(message, "stop_reason")
        if isinstance(reason, str) and reason:
            self._stop_reason = reason
            self._stop_details = _get(message, "stop_details")

    def _begin_block(self, index: Any, block: Block) -> Iterator[str]:
        self._indices[index] = len(self._blocks)
        self._blocks.append(block)
        if block.get("type") == "thinking":
            yield from self._show_thought(_string(block.get("thinking")))
        else:
            yield from self.end_thinking()
        if block.get("type") == "text" and block.get("text"):
            yield str(block["text"])

    def _read_delta(self, index: Any, delta: Any) -> Iterator[str]:
        place = self._indices.get(index)
        kind = _get(delta, "type")
        if place is None:  # some servers do not announce a block
            block: Block = {"type": "thinking"} if kind == "thinking_delta" else {"type": "text"}
            yield from self._begin_block(index, block)
            place = self._indices[index]
            self._oddities.append("a block was not announced")
        block = self._blocks[place]
        if kind == "text_delta":
            text = _string(_get(delta, "text")) or ""
            block["text"] = (block.get("text") or "") + text
            if text:
                yield text
        elif kind == "thinking_delta":
            thought = _string(_get(delta, "thinking")) or ""
            block["thinking"] = (block.get("thinking") or "") + thought
            yield from self._show_thought(thought)
        elif kind == "input_json_delta":
            piece = _string(_get(delta, "partial_json")) or ""
            self._partial.setdefault(place, []).append(piece)
            if piece and block.get("name") == self._form.answer_tool:
                yield piece
        elif kind == "signature_delta":
            block["signature"] = _get(delta, "signature")
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or []), _plain(_get(delta, "citation"))]
        else:
            self._whole = False
            self._oddities.append(f"a delta of the type {kind!r} is unknown")

    def _show_thought(self, thought: str | None) -> Iterator[str]:
        if thought:
            yield thought if self._thinking else f"<think>{thought}"
            self._thinking = True

    def _finish_blocks(self) -> None:
        """Put the input of calls together; what is no JSON stays a text."""
        for place, pieces in self._partial.items():
            text = "".join(pieces)
            try:
                self._blocks[place]["input"] = json.loads(text) if text.strip() else {}
            except ValueError:
                self._whole = False
                self._blocks[place]["input"] = text
        self._partial.clear()

    def _refuse(self, message: Any) -> NoReturn:
        """Say why a reply cannot be used."""
        from ._errors import UnusableReplyError

        error = _get(message, "error")
        if error:
            text = f"The server answered with an error: {_get(error, 'message') or error}"
        elif isinstance(message, str):
            text = f"The server did not answer with JSON but with {message[:200]!r}. Check base_url: it has no '/v1'."
        else:
            text = "The server's answer holds no content."
        raise UnusableReplyError(
            text, model=self._form.model, url=self._form.url, body=_plain(message) if error else None
        )

    def _raise_unfinished(self, reason: str) -> NoReturn:
        from ._errors import UnusableReplyError

        wanted = getattr(self._form.output, "__name__", "JSON")
        if reason == "length":
            text = f"The answer was cut off before it was a complete {wanted}. Raise max_tokens."
        else:
            why = _get(self._stop_details, "explanation")
            text = f"The model refused to answer with a {wanted}{f': {why}' if why else '.'}"
        raise UnusableReplyError(text, model=self._form.model, url=self._form.url, body=None)

    def _report(self) -> None:
        """Write one record of what was odd: a warning, but once only for each kind, for servers do not change."""
        if not self._oddities:
            return
        new = set(self._oddities) - self._form.reported
        self._form.reported.update(new)
        level = logging.WARNING if new else logging.DEBUG
        _logger.log(level, "Model %s: odd reply: %s.", self._form.model, "; ".join(dict.fromkeys(self._oddities)))


def _get(value: Any, name: str) -> Any:
    """Return an attribute or entry, or `None`: servers leave out what the SDK's types promise."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).get(name)
    return getattr(value, name, None)


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _plain(value: Any) -> dict[str, Any]:
    """Return an object of the SDK as the server sent it: with fields that the SDK does not know, without its defaults."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True, warnings="none")
    return dict(cast("dict[str, Any]", value)) if isinstance(value, dict) else {}


def _json_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps({} if value is None else value)
