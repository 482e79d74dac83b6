"""Reads replies in OpenAI's form, whole or in chunks, into a `CreateResult`: tolerant, and telling what was odd.

Whole replies and streams are read into the same fields and finished by the same code, so that both give equal results.
Stands on the model contract and `_shared`; reads the SDK's objects by attribute, since servers leave out or add any.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

from pydantic import BaseModel

from autogen_core import TRACE_LOGGER_NAME
from autogen_core.models import (
    ChatCompletionTokenLogprob,
    CreateResult,
    ModelFamily,
    RequestUsage,
    TopLogprob,
)
from autogen_ext.models._shared._replies import is_known_stop_reason, normalize_stop_reason, usage_of
from autogen_ext.models._shared._text import extract_json, split_thought
from autogen_ext.models._shared._tool_calls import ToolCallAssembler

_logger = logging.getLogger(TRACE_LOGGER_NAME)


@dataclass(frozen=True, slots=True)
class ReplyForm:
    """What the caller asked for and the model is known for; it decides how a reply is read."""

    model: str
    family: str
    url: str
    """Where the request went; for error texts."""
    output: type[BaseModel] | None = None
    wants_json: bool = False
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

    def feed_completion(self, completion: Any) -> None:
        """Read a whole reply.

        Raises:
            UnusableReplyError: It holds an error, or no answer.
        """
        choices = _get(completion, "choices")
        if not isinstance(choices, list) or not choices:
            self._refuse(completion)
        if not self._read_usage(completion):
            self._oddities.append("no usage was reported")
        choice = cast("list[Any]", choices)[0]
        message = _get(choice, "message")
        self._read_ending(choice)
        self._reasoning.extend(_reasoning_of(message))
        self._text.extend(_texts_of(_get(message, "content")))
        self._refusal.extend(_texts_of(_get(message, "refusal")))
        for call in _list(_get(message, "tool_calls")):
            function = _get(call, "function")
            self._calls.add_whole(
                call_id=_get(call, "id"), name=_get(function, "name"), arguments=_get(function, "arguments")
            )
        legacy = _get(message, "function_call")
        if legacy is not None and not self._calls:
            self._calls.add_whole(call_id=None, name=_get(legacy, "name"), arguments=_get(legacy, "arguments"))

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
        self._read_usage(chunk)
        for choice in _list(_get(chunk, "choices"))[:1]:
            self._read_ending(choice)
            delta = _get(choice, "delta")
            for thought in _reasoning_of(delta):
                self._reasoning.append(thought)
                yield thought if self._thinking else f"<think>{thought}"
                self._thinking = True
            texts = _texts_of(_get(delta, "content"))
            calls = _list(_get(delta, "tool_calls"))
            if texts or calls:
                yield from self.end_thinking()
            self._text.extend(texts)
            yield from texts
            self._refusal.extend(_texts_of(_get(delta, "refusal")))
            self._read_fragments(calls, _get(delta, "function_call"))

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
        )

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
        import openai
        from openai.types.chat import ChatCompletion

        if reason == "content_filter":
            raise openai.ContentFilterFinishReasonError
        usage: Any = {
            "prompt_tokens": self.usage.prompt_tokens,
            "completion_tokens": self.usage.completion_tokens,
            "total_tokens": self.usage.prompt_tokens + self.usage.completion_tokens,
        }
        raise openai.LengthFinishReasonError(
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

    def _read_ending(self, choice: Any) -> None:
        reason = _get(choice, "finish_reason")
        if isinstance(reason, str) and reason:
            self._stop_reason = reason
            if not is_known_stop_reason(reason):
                self._oddities.append(f"finish reason {reason!r} is unknown")
        items = (_logprob_of(item) for item in _list(_get(_get(choice, "logprobs"), "content")))
        self._logprobs.extend(item for item in items if item is not None)

    def _read_usage(self, reply: Any) -> bool:
        usage = _get(reply, "usage")
        if usage is None:
            return False
        read = usage_of(_get(usage, "prompt_tokens"), _get(usage, "completion_tokens"))
        if read.prompt_tokens or read.completion_tokens:
            self.usage = read
        return True

    def _read_fragments(self, calls: list[Any], legacy: Any) -> None:
        for call in calls:
            function = _get(call, "function")
            self._calls.add(
                index=_get(call, "index"),
                call_id=_get(call, "id"),
                name=_get(function, "name"),
                arguments=_get(function, "arguments"),
            )
        if legacy is not None:
            self._calls.add(index=0, name=_get(legacy, "name"), arguments=_get(legacy, "arguments"))

    def _refuse(self, completion: Any) -> NoReturn:
        """Say why a reply cannot be used."""
        from ._errors import UnusableReplyError

        error = _get(completion, "error")
        if error:
            text = _get(error, "message") or error
            raise UnusableReplyError(f"The server answered with an error: {text}", url=self._form.url, body=error)
        if isinstance(completion, str):
            start = completion[:200]
            text = f"The server did not answer with JSON but with {start!r}. Check base_url: does it end in '/v1'?"
        else:
            text = "The server's answer holds no choices."
        raise UnusableReplyError(text, url=self._form.url, body=None)

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


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _texts_of(content: Any) -> list[str]:
    """Return the text of a content, which some servers send as a list of parts."""
    if isinstance(content, str):
        return [content] if content else []
    texts = (_get(part, "text") for part in _list(content))
    return [text for text in texts if isinstance(text, str) and text]


def _reasoning_of(message: Any) -> list[str]:
    """Return the reasoning that a server keeps apart from the text; there are two customs of naming it."""
    for name in ("reasoning_content", "reasoning"):
        value = _get(message, name)
        if isinstance(value, str) and value:
            return [value]
    return []


def _logprob_of(item: Any) -> ChatCompletionTokenLogprob | None:
    token, logprob = _get(item, "token"), _get(item, "logprob")
    if not isinstance(token, str) or not isinstance(logprob, int | float):
        return None
    top = [
        TopLogprob(logprob=_get(other, "logprob"), bytes=_get(other, "bytes"))
        for other in _list(_get(item, "top_logprobs"))
    ]
    return ChatCompletionTokenLogprob(token=token, logprob=logprob, top_logprobs=top, bytes=_get(item, "bytes"))
