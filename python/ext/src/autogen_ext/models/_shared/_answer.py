"""Collects an answer, whole or piece by piece, and makes the result of it: streams and whole replies end equally.

Tolerant, and telling what was odd. Stands on the model contract and `_shared`; must not know any provider.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from autogen_core import TRACE_LOGGER_NAME, FunctionCall
from autogen_core.models import ChatCompletionTokenLogprob, CreateResult, ModelFamily, RequestUsage
from autogen_ext.models.errors import UnusableReplyError

from ._provider_data import attach, attach_to_first, pack
from ._replies import is_known_stop_reason, normalize_stop_reason, usage_of
from ._text import extract_json, split_thought
from ._tool_calls import ToolCallAssembler

_logger = logging.getLogger(TRACE_LOGGER_NAME)

FindCalls = Callable[[str], tuple[str, list[FunctionCall]]]
"""Parts the text of an answer into what was said and the calls that were written into it."""


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What the caller asked for and the model is known for; it decides how an answer is read."""

    provider: str
    server: str
    """Who is spoken to; what it wants back goes to nobody else."""
    model: str
    family: str
    output: type[BaseModel] | None = None
    wants_json: bool = False
    must_call: bool = False
    tools: frozenset[str] = frozenset()
    """The names of the tools that were offered."""
    find_calls: FindCalls | None = None
    reported: set[str] = field(default_factory=set[str])
    """Oddities that were reported already; shared between the answers to one client."""


class Answer:
    """An answer while it is read: hand it what comes, then ask for the result.

    Attributes:
        form: What was asked for.
        usage: What was reported so far; zero if nothing is.
        stop_reason: Why it ended, in the provider's word.
        calls: The tool calls, from whole ones or fragments.
        logprobs: How likely each token was, if that was asked for.
        fields: What the provider sent with the message beside what is read, and wants back.
        thought_name: The field in which thoughts came; with calls they are sent back in it.
        oddities: What was amiss, in words.
    """

    def __init__(self, form: AnswerForm) -> None:
        self.usage = RequestUsage(prompt_tokens=0, completion_tokens=0)
        self.stop_reason: str | None = None
        self.calls = ToolCallAssembler()
        self.logprobs: list[ChatCompletionTokenLogprob] = []
        self.fields: dict[str, Any] = {}
        self.thought_name: str | None = None
        self.oddities: list[str] = []
        self.form = form
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._thinking = False

    def say(self, text: Any) -> list[str]:
        """Take a piece of text; return what the reader of a stream shall see of it."""
        if not isinstance(text, str) or not text:
            return []
        self._text.append(text)
        return [*self.end_thinking(), text]

    def think(self, thought: Any) -> list[str]:
        """Take a piece of reasoning; a stream shows it between `<think>` tags, as models do that have no field for it."""
        if not isinstance(thought, str) or not thought:
            return []
        self._thoughts.append(thought)
        shown = thought if self._thinking else f"<think>{thought}"
        self._thinking = True
        return [shown]

    def end_thinking(self) -> list[str]:
        """Return the closing tag if a thought was shown and not ended; to be called at the end of a stream, too."""
        if not self._thinking:
            return []
        self._thinking = False
        return ["</think>"]

    def end(self, reason: Any) -> None:
        """Take the reason why the answer ended."""
        if isinstance(reason, str) and reason:
            self.stop_reason = reason
            if not is_known_stop_reason(reason):
                self.oddities.append(f"finish reason {reason!r} is unknown")

    def count(self, prompt_tokens: Any, completion_tokens: Any) -> None:
        """Take numbers of tokens; zeros and what is no number do not replace what was reported before."""
        self.use(usage_of(prompt_tokens, completion_tokens))

    def use(self, usage: RequestUsage) -> None:
        """Take a usage with its details, unless it is zero."""
        if usage.prompt_tokens or usage.completion_tokens:
            self.usage = usage

    def result(self) -> CreateResult:
        """Return the result.

        Raises:
            pydantic.ValidationError: The answer does not fit the class that was asked for.
            UnusableReplyError: It does not, because it was cut off or held back.
        """
        text, thought = self._split_text()
        calls = self.calls.calls()
        kept = self._keep(calls)
        self.oddities.extend(self.calls.oddities)
        if not calls and self.form.find_calls is not None:
            text, calls = self.form.find_calls(text)
        reason = normalize_stop_reason(self.stop_reason, has_calls=bool(calls))
        if calls:
            # A text beside calls has no place of its own in the contract; as a thought it is sent back to the model.
            thought = thought or text.strip()
        elif self.form.output is not None:
            text = self._check_output(self.form.output, text, reason)
        elif self.form.wants_json:
            text = extract_json(text) or text
        if not calls and self.form.must_call:
            self.oddities.append("no tool was called although one was required")
        elif not calls and not text:
            self.oddities.append("the reply holds neither text nor tool calls")
        self._report()
        return CreateResult(
            finish_reason=reason,
            content=calls or text,
            usage=self.usage,
            cached=False,
            logprobs=self.logprobs or None,
            thought=thought or None,
            provider_data=kept,
        )

    def _keep(self, calls: list[FunctionCall]) -> dict[str, Any] | None:
        """Give each call what the provider wants back with it, and return what it wants back with the message."""
        provider, server = self.form.provider, self.form.server
        for call, extra in zip(calls, self.calls.extras(), strict=True):
            if extra:
                attach(call, pack(provider, server, call=extra))
        fields = dict(self.fields)
        if calls and self.thought_name and self._thoughts:
            fields = {self.thought_name: "".join(self._thoughts), "content": "".join(self._text), **fields}
        kept = pack(provider, server, message=fields)
        attach_to_first(calls, kept)
        return kept

    def _split_text(self) -> tuple[str, str | None]:
        thought, answer = split_thought(
            "".join(self._text), reasoning_model=self.form.family == ModelFamily.R1 and not self._thoughts
        )
        return answer, "".join(self._thoughts) or thought

    def _check_output(self, output: type[BaseModel], text: str, reason: str) -> str:
        """Return the JSON of a structured answer, freed from fences and words around it."""
        answer = extract_json(text) or text
        try:
            output.model_validate_json(answer)
        except ValidationError:
            if reason not in ("length", "content_filter"):
                raise
            why = (
                "was cut off at the limit of tokens: allow more" if reason == "length" else "was held back by a filter"
            )
            error = UnusableReplyError(f"The answer does not fit {output.__name__}, for it {why}.")
            error.provider, error.model, error.body = self.form.provider, self.form.model, text
            raise error from None
        return answer

    def _report(self) -> None:
        """Write one record of what was odd: a warning, but once only for each kind, for servers do not change."""
        if not self.oddities:
            return
        new = set(self.oddities) - self.form.reported
        self.form.reported.update(new)
        level = logging.WARNING if new else logging.DEBUG
        _logger.log(level, "Model %s: odd reply: %s.", self.form.model, "; ".join(dict.fromkeys(self.oddities)))
