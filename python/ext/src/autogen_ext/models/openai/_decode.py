"""Reads replies in OpenAI's form, whole or in chunks, into a `CreateResult`: tolerant, and telling what was odd.

Whole replies and streams are read into the same fields and finished by the same code, so that both give equal results.
Stands on the model contract and `_shared`; reads the SDK's objects by attribute, since servers leave out or add any.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

from pydantic import BaseModel

from autogen_core import TRACE_LOGGER_NAME, FunctionCall
from autogen_core.models import ChatCompletionTokenLogprob, CreateResult, ModelFamily, RequestUsage
from autogen_ext.models._shared._provider_data import attach, attach_to_first, merge_fragments, pack
from autogen_ext.models._shared._replies import is_known_stop_reason, normalize_stop_reason, usage_in_openai_form
from autogen_ext.models._shared._text import extract_json, split_thought
from autogen_ext.models._shared._tool_calls import ToolCallAssembler

from ._encode import PROTOCOL
from ._fields import (
    READ_OF_CALL,
    READ_OF_FUNCTION,
    READ_OF_MESSAGE,
    get,
    items_of,
    logprob_of,
    marked_parts,
    reasoning_of,
    texts_of,
    unread,
)
from ._sse import EventReader

_logger = logging.getLogger(TRACE_LOGGER_NAME)


@dataclass(frozen=True, slots=True)
class ReplyForm:
    """What the caller asked for and the model is known for; it decides how a reply is read."""

    model: str
    family: str
    url: str
    """Where the request went; for error texts."""
    server: str = ""
    """Its host; what it wants back is sent to no other."""
    output: type[BaseModel] | None = None
    wants_json: bool = False
    wants_usage: bool = False
    """The number of tokens was asked for in a stream."""
    reported: set[str] = field(default_factory=set[str])
    """Oddities of this server that were reported already; shared between the replies to one client."""


class Reply:
    """A reply while it is read: feed it a whole completion or chunks, then ask for the result."""

    def __init__(self, form: ReplyForm) -> None:
        self.usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        """What the server reported so far; zero if it reports nothing."""
        self._form = form
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls = ToolCallAssembler()
        self._stop_reason: str | None = None
        self._logprobs: list[ChatCompletionTokenLogprob] = []
        self._thinking = False
        self._oddities: list[str] = []
        self._usage_reported = False
        self._reasoning_name = ""
        self._extra: dict[str, Any] = {}
        """What the server wants back with the message."""
        self.model: str | None = None
        """The model that answered, as the server names it."""
        self.id: str | None = None
        """The server's id of the reply."""

    def feed_completion(self, completion: Any) -> None:
        """Read a whole reply.

        Raises:
            UnusableReplyError: It holds an error, or no answer.
        """
        choices = get(completion, "choices")
        if not isinstance(choices, list) or not choices:
            self._refuse(completion)
        if not self._read_usage(completion):
            self._oddities.append("no usage was reported")
        self._read_source(completion)
        choice = cast("list[Any]", choices)[0]
        message = get(choice, "message")
        self._read_ending(choice)
        self._read_reasoning(message)
        self._text.extend(texts_of(get(message, "content")))
        self._refusal.extend(texts_of(get(message, "refusal")))
        self._keep(message)
        for call in items_of(get(message, "tool_calls")):
            function = get(call, "function")
            self._calls.add_whole(
                call_id=get(call, "id"),
                name=get(function, "name"),
                arguments=get(function, "arguments"),
                extra=_added_to_call(call, function),
            )
        legacy = get(message, "function_call")
        if legacy is not None and not self._calls:
            self._calls.add_whole(call_id=None, name=get(legacy, "name"), arguments=get(legacy, "arguments"))

    def feed_unstreamed(self, completion: Any) -> Iterator[str]:
        """Read a whole reply where a stream was expected; yield its text.

        Raises:
            UnusableReplyError: As `feed_completion`.
        """
        self.feed_completion(completion)
        self._oddities.append("the reply was not streamed")
        yield from self._text

    def feed_chunk(self, chunk: Any) -> Iterator[str]:
        """Read a chunk of a stream; yield what the caller shall see of it.

        Reasoning is shown between `<think>` tags, as models do that have no field for it.
        """
        if self.model is None:
            self._read_source(chunk)
        if get(chunk, "error"):
            self._refuse(chunk)
        self._read_usage(chunk)
        for choice in items_of(get(chunk, "choices"))[:1]:
            self._read_ending(choice)
            delta = get(choice, "delta")
            thought = self._read_reasoning(delta)
            if thought:
                yield thought if self._thinking else f"<think>{thought}"
                self._thinking = True
            texts = texts_of(get(delta, "content"))
            calls = items_of(get(delta, "tool_calls"))
            if texts or calls:
                yield from self.end_thinking()
            self._text.extend(texts)
            yield from texts
            self._refusal.extend(texts_of(get(delta, "refusal")))
            self._keep(delta)
            self._read_fragments(calls, get(delta, "function_call"))

    def end_stream(self, reader: EventReader) -> None:
        """Note how a stream ended.

        Raises:
            UnusableReplyError: It ended with an error.
        """
        if reader.failed is not None:
            self._refuse({"error": reader.failed})
        if reader.unreadable:
            self._oddities.append("a line of the stream was no JSON")
        if self._form.wants_usage and not self._usage_reported:
            self._oddities.append("no usage was reported")
        if self._stop_reason is None and (self._text or self._calls):
            self._oddities.append("the stream ended without a finish reason")

    def end_thinking(self) -> Iterator[str]:
        """Yield the closing tag if a thought was shown and not ended; to be called at the end of a stream, too."""
        if self._thinking:
            self._thinking = False
            yield "</think>"

    def result(self) -> CreateResult:
        """Return the result.

        Raises:
            pydantic.ValidationError: The answer does not fit the class that was asked for.
            openai.LengthFinishReasonError: An answer of that class was cut off at the limit of tokens.
            openai.ContentFilterFinishReasonError: An answer of that class was held back by the provider.
        """
        text, thought = self._split_text()
        calls = self._calls.calls()
        self._oddities.extend(self._calls.oddities)
        kept = self._kept(calls)
        reason = normalize_stop_reason(self._stop_reason, has_calls=bool(calls))
        if calls:
            # A text beside calls has no place of its own in the contract; as a thought it is sent back to the model.
            thought = text if text.strip() else thought
        elif not text and self._refusal:
            text = "".join(self._refusal)
        elif self._form.output is not None:
            text = self._check_output(self._form.output, text, reason)
        elif self._form.wants_json:
            text = extract_json(text) or text
        if not calls and not text:
            self._oddities.append("the reply holds neither text nor tool calls")
        self._report()
        return CreateResult(
            finish_reason=reason,
            content=calls or text,
            usage=self.usage,
            cached=False,
            logprobs=self._logprobs or None,
            thought=thought or None,
            provider_data=kept,
        )

    def _kept(self, calls: list[FunctionCall]) -> dict[str, Any] | None:
        """Give each call what the server wants back with it, and return what it wants back with the message."""
        for call, extra in zip(calls, self._calls.extras(), strict=True):
            if extra:
                attach(call, pack(PROTOCOL, self._form.server, call=extra))
        fields = dict(self._extra)
        if calls:
            # Within a turn of tools some servers insist on the reasoning that led to the calls; elsewhere it is refused.
            text = "".join(self._text)
            if self._reasoning and self._reasoning_name:
                fields = {self._reasoning_name: "".join(self._reasoning), "content": text or None, **fields}
        kept = pack(PROTOCOL, self._form.server, message=fields)
        attach_to_first(calls, kept)
        return kept

    def _split_text(self) -> tuple[str, str | None]:
        text = "".join(self._text)
        thought, answer = split_thought(text, reasoning_model=self._form.family == ModelFamily.R1)
        return answer, "".join(self._reasoning) or thought

    def _check_output(self, output: type[BaseModel], text: str, reason: str) -> str:
        """Return the JSON of a structured answer, freed from fences and words around it."""
        if reason in ("length", "content_filter"):
            self._raise_unfinished(reason)
        answer = extract_json(text) or text
        output.model_validate_json(answer)
        return answer

    def _raise_unfinished(self, reason: str) -> NoReturn:
        from openai.types.chat import ChatCompletion

        from ._errors import UnfinishedAnswerError, WithheldAnswerError

        if reason == "content_filter":
            raise WithheldAnswerError
        usage: Any = {
            "prompt_tokens": self.usage.prompt_tokens,
            "completion_tokens": self.usage.completion_tokens,
            "total_tokens": self.usage.prompt_tokens + self.usage.completion_tokens,
        }
        raise UnfinishedAnswerError(
            completion=ChatCompletion.model_validate(
                {
                    "id": "",
                    "object": "chat.completion",
                    "created": 0,
                    "model": self._form.model,
                    "choices": [],
                    "usage": usage,
                }
            )
        )

    def _read_source(self, reply: Any) -> None:
        model, reply_id = get(reply, "model"), get(reply, "id")
        self.model = model if isinstance(model, str) else ""
        self.id = reply_id if isinstance(reply_id, str) else None

    def _read_reasoning(self, message: Any) -> str:
        found = reasoning_of(message)
        if found is None:
            return ""
        self._reasoning_name, thought = found
        self._reasoning.append(thought)
        return thought

    def _keep(self, message: Any) -> None:
        """Keep what the server sent beside the protocol, to send it back."""
        added = unread(message, READ_OF_MESSAGE)
        if added:
            merge_fragments(self._extra, added)
        content = get(message, "content")
        if isinstance(content, list):
            parts = marked_parts(cast("list[Any]", content))
            if parts:
                merge_fragments(self._extra, {"content": parts})

    def _read_ending(self, choice: Any) -> None:
        reason = get(choice, "finish_reason")
        if isinstance(reason, str) and reason:
            self._stop_reason = reason
            if not is_known_stop_reason(reason):
                self._oddities.append(f"finish reason {reason!r} is unknown")
        items = (logprob_of(item) for item in items_of(get(get(choice, "logprobs"), "content")))
        self._logprobs.extend(item for item in items if item is not None)

    def _read_usage(self, reply: Any) -> bool:
        usage = get(reply, "usage")
        if usage is None:
            return False
        self._usage_reported = True
        read = usage_in_openai_form(usage, get)
        if read.prompt_tokens or read.completion_tokens:
            self.usage = read
        return True

    def _read_fragments(self, calls: list[Any], legacy: Any) -> None:
        for call in calls:
            function = get(call, "function")
            self._calls.add(
                index=get(call, "index"),
                call_id=get(call, "id"),
                name=get(function, "name"),
                arguments=get(function, "arguments"),
                extra=_added_to_call(call, function),
            )
        if legacy is not None:
            self._calls.add(index=0, name=get(legacy, "name"), arguments=get(legacy, "arguments"))

    def _refuse(self, completion: Any) -> NoReturn:
        """Say why a reply cannot be used."""
        from ._errors import unusable_reply

        error = get(completion, "error")
        if error:
            text = f"The server answered with an error: {get(error, 'message') or error}"
        elif isinstance(completion, str):
            start = completion[:200]
            text = f"The server did not answer with JSON but with {start!r}. Check base_url: does it end in '/v1'?"
        else:
            text = "The server's answer holds no choices."
        self._oddities.append("the server reported success, but there is no answer in its reply")
        self._report()
        raise unusable_reply(text, url=self._form.url, body=error, model=self._form.model)

    def _report(self) -> None:
        """Write one record of what was odd: a warning, but once only for each kind, for servers do not change."""
        if not self._oddities:
            return
        new = set(self._oddities) - self._form.reported
        self._form.reported.update(new)
        level = logging.WARNING if new else logging.DEBUG
        _logger.log(level, "Model %s: odd reply: %s.", self._form.model, "; ".join(dict.fromkeys(self._oddities)))


def _added_to_call(call: Any, function: Any) -> dict[str, Any]:
    """Return what a server added to a tool call."""
    added = unread(call, READ_OF_CALL)
    inner = unread(function, READ_OF_FUNCTION)
    return {**added, "function": inner} if inner else added
