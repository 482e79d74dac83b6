"""OpenAI's protocol on the side of a server: reads request bodies, writes answers, pieces and errors.

Stands on `_request` and `_decode`; must not know the web framework or any engine.
"""

import base64
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast
from uuid import uuid4

from autogen_core.models import RequestUsage
from autogen_ext.models._shared._tools import ToolSpec

from ._decode import Reply
from ._errors import ContextLengthError, LocalModelError
from ._prompts import Message
from ._request import ChatRequest
from ._schemas import ANY_JSON, JsonSchema

Json = dict[str, Any]

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_SAMPLING = ("temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty")
_UNSUPPORTED = ("audio", "functions", "function_call", "logit_bias", "logprobs", "top_logprobs")
"""Fields that would change the answer, and are not heard; the others that are not known are harmless."""


class WireError(Exception):
    """A request is answered with an error.

    Attributes:
        status: The HTTP status.
        param: The field that is wrong, if it is one.
        code: A word for programs.
        numbers: Further fields of the error, named as llama.cpp names them.
    """

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        numbers: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status
        self.numbers = numbers or {}

    @classmethod
    def of(cls, error: Exception) -> "WireError":
        """Translate what went wrong."""
        match error:
            case WireError():
                return error
            case ContextLengthError():
                numbers = {"n_prompt_tokens": error.prompt_tokens, "n_ctx": error.n_ctx}
                return cls(str(error), param="messages", code="context_length_exceeded", numbers=numbers)
            case ValueError():
                return cls(str(error))
            case LocalModelError():
                return cls(str(error), status=HTTPStatus.INTERNAL_SERVER_ERROR)
            case _:
                text = f"The server failed: {type(error).__name__}: {error}"
                return cls(text, status=HTTPStatus.INTERNAL_SERVER_ERROR)

    def body(self) -> Json:
        """Return the body of the answer."""
        kind = "server_error" if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code, **self.numbers}}


@dataclass(frozen=True, slots=True)
class ChatBody:
    """A request for a chat completion, read."""

    request: ChatRequest
    model: str
    stream: bool
    include_usage: bool


def read_chat(body: Any, *, max_tokens: int) -> ChatBody:
    """Read a request for a chat completion.

    Args:
        body: What was sent.
        max_tokens: Tokens of an answer for which the request names no limit.

    Raises:
        WireError: Something is missing, wrong, or not supported.
    """
    fields = _object(body, "The body")
    for name in _UNSUPPORTED:
        if fields.get(name):
            raise WireError(f"{name!r} is not supported by a local model.", param=name, code="unsupported_parameter")
    if fields.get("n") not in (None, 1):
        raise WireError("A local model gives one answer: 'n' must be 1.", param="n", code="unsupported_value")
    sampling = {"temperature": 0.0, **{name: fields[name] for name in _SAMPLING if fields.get(name) is not None}}
    limit = fields.get("max_completion_tokens") or fields.get("max_tokens") or max_tokens
    if not isinstance(limit, int) or limit < 1:
        raise WireError(f"'max_tokens' must be a positive integer, not {limit!r}.", param="max_tokens")
    tools, must_call = _read_tools(fields)
    request = ChatRequest(
        messages=_read_messages(fields.get("messages")),
        tools=tools,
        must_call=must_call,
        parallel=bool(tools) and fields.get("parallel_tool_calls") is True,
        output=_read_output(fields.get("response_format")),
        sampling={**sampling, "max_tokens": limit},
    )
    options = _object(fields.get("stream_options") or {}, "'stream_options'")
    stream = bool(fields.get("stream"))
    return ChatBody(request, str(fields.get("model") or ""), stream, stream and bool(options.get("include_usage")))


def read_embeddings(body: Any) -> tuple[list[str], str, bool]:
    """Read a request for embeddings: the texts, the model's name, and whether vectors are wanted in base64.

    Raises:
        WireError: Something is missing, wrong, or not supported.
    """
    fields = _object(body, "The body")
    if fields.get("dimensions") is not None:
        raise WireError("'dimensions' is not supported by a local model.", param="dimensions")
    given: Any = fields.get("input")
    texts = [given] if isinstance(given, str) else cast("list[Any]", given) if isinstance(given, list) else []
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise WireError("'input' must be a text, or a list of texts, none of them empty.", param="input")
    form = fields.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise WireError(f"'encoding_format' must be 'float' or 'base64', not {form!r}.", param="encoding_format")
    return [str(text) for text in texts], str(fields.get("model") or ""), form == "base64"


def write_embeddings(vectors: Sequence[Sequence[float]], tokens: int, model: str, *, as_base64: bool) -> Json:
    """Return the answer to a request for embeddings."""
    data = [
        {"object": "embedding", "index": index, "embedding": _base64(vector) if as_base64 else list(vector)}
        for index, vector in enumerate(vectors)
    ]
    return {
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


@dataclass(frozen=True, slots=True)
class ChatWriter:
    """Writes one answer, whole or in pieces."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, reply: Reply) -> Json:
        """Return a whole answer."""
        message: Json = {"role": "assistant", "content": None if reply.calls else reply.text}
        if reply.calls:
            message["tool_calls"] = _tool_calls(reply)
        if reply.thought:
            message["reasoning_content"] = reply.thought
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
        return {**self._frame("chat.completion"), "choices": [choice], "usage": _usage(reply.usage)}

    def role(self) -> Json:
        """Return the piece that begins an answer."""
        return self._piece({"role": "assistant", "content": ""})

    def text(self, text: str) -> Json:
        """Return a piece of text."""
        return self._piece({"content": text})

    def end(self, reply: Reply) -> list[Json]:
        """Return the pieces that end an answer: its tool calls, and why it ended."""
        calls = [
            self._piece({"tool_calls": [{"index": index, **call}]}) for index, call in enumerate(_tool_calls(reply))
        ]
        return [*calls, self._piece({}, _finish(reply))]

    def usage(self, usage: RequestUsage) -> Json:
        """Return the piece that tells what was used; it comes last."""
        return {**self._frame("chat.completion.chunk"), "choices": [], "usage": _usage(usage)}

    def _piece(self, delta: Json, finish: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**self._frame("chat.completion.chunk"), "choices": [choice]}

    def _frame(self, kind: str) -> Json:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def _read_messages(given: Any) -> list[Message]:
    if not isinstance(given, list) or not given:
        raise WireError("'messages' must be a list of at least one message.", param="messages")
    return [_read_message(item, f"messages[{index}]") for index, item in enumerate(cast("list[Any]", given))]


def _read_message(item: Any, place: str) -> Message:
    fields = _object(item, f"'{place}'", param=place)
    role = _ROLES.get(str(fields.get("role")))
    if role is None:
        raise WireError(
            f"'{place}.role' must be one of {', '.join(_ROLES)}, not {fields.get('role')!r}.", param=f"{place}.role"
        )
    message: Message = {"role": role, "content": _read_content(fields.get("content"), f"{place}.content")}
    calls = fields.get("tool_calls")
    if calls:
        message["tool_calls"] = [_read_call(call, f"{place}.tool_calls") for call in cast("list[Any]", calls)]
    elif message["content"] is None:
        raise WireError(f"'{place}.content' is missing.", param=f"{place}.content")
    for name in ("name", "tool_call_id"):
        if fields.get(name):
            message[name] = fields[name]
    if role == "tool" and "tool_call_id" not in message:
        raise WireError(f"'{place}.tool_call_id' is missing.", param=f"{place}.tool_call_id")
    return message


def _read_content(content: Any, place: str) -> str | None:
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise WireError(f"'{place}' must be a text or a list of parts.", param=place)
    texts: list[str] = []
    for part in cast("list[Any]", content):
        fields = _object(part, f"A part of '{place}'", param=place)
        if fields.get("type") not in ("text", "refusal"):
            raise WireError(f"Local models read text only, not {fields.get('type')!r}.", param=place)
        texts.append(str(fields.get("text") or fields.get("refusal") or ""))
    return "\n".join(texts)


def _read_call(call: Any, place: str) -> Json:
    fields = _object(call, f"An entry of '{place}'", param=place)
    function = _object(fields.get("function"), f"'{place}.function'", param=place)
    return {
        "id": str(fields.get("id")),
        "type": "function",
        "function": {"name": str(function.get("name")), "arguments": str(function.get("arguments") or "{}")},
    }


def _read_tools(fields: Json) -> tuple[list[ToolSpec], bool]:
    given: Any = fields.get("tools") or []
    if not isinstance(given, list):
        raise WireError("'tools' must be a list.", param="tools")
    tools = [_read_tool(item, f"tools[{index}]") for index, item in enumerate(cast("list[Any]", given))]
    choice: Any = fields.get("tool_choice") or "auto"
    if isinstance(choice, dict):
        named = _object(cast("Json", choice).get("function"), "'tool_choice.function'", param="tool_choice")
        chosen = [tool for tool in tools if tool.name == named.get("name")]
        if not chosen:
            raise WireError(f"'tool_choice' names {named.get('name')!r}, which is not in 'tools'.", param="tool_choice")
        return chosen, True
    if choice not in ("auto", "none", "required"):
        raise WireError(
            f"'tool_choice' must be 'auto', 'none', 'required' or a tool, not {choice!r}.", param="tool_choice"
        )
    if choice == "required" and not tools:
        raise WireError("'tool_choice' is 'required', but there are no 'tools'.", param="tool_choice")
    return ([] if choice == "none" else tools), choice == "required"


def _read_tool(item: Any, place: str) -> ToolSpec:
    fields = _object(item, f"'{place}'", param=place)
    if fields.get("type") != "function":
        raise WireError(f"'{place}.type' must be 'function', not {fields.get('type')!r}.", param=f"{place}.type")
    function = _object(fields.get("function"), f"'{place}.function'", param=place)
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise WireError(f"'{place}.function.name' is missing.", param=f"{place}.function.name")
    parameters = _object(function.get("parameters") or {}, f"'{place}.function.parameters'", param=place)
    return ToolSpec(name, str(function.get("description") or ""), parameters, strict=bool(function.get("strict")))


def _read_output(given: Any) -> JsonSchema | None:
    if given is None:
        return None
    fields = _object(given, "'response_format'", param="response_format")
    match fields.get("type"):
        case "text":
            return None
        case "json_object":
            return ANY_JSON
        case "json_schema":
            wrapped = _object(fields.get("json_schema"), "'response_format.json_schema'", param="response_format")
            return _object(wrapped.get("schema"), "'response_format.json_schema.schema'", param="response_format")
        case other:
            raise WireError(
                f"'response_format.type' must be 'text', 'json_object' or 'json_schema', not {other!r}.",
                param="response_format",
            )


def _object(value: Any, what: str, *, param: str | None = None) -> Json:
    if not isinstance(value, dict):
        raise WireError(f"{what} must be an object.", param=param)
    return cast("Json", value)


def _tool_calls(reply: Reply) -> list[Json]:
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in reply.calls
    ]


def _finish(reply: Reply) -> str:
    return {"function_calls": "tool_calls", "unknown": "stop"}.get(reply.finish, reply.finish)


def _usage(usage: RequestUsage) -> Json:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
