"""The client for a model in this process: `create` and `create_stream` on the library's `create_chat_completion`.

Stands on `_flow`, `_request`, `_decode`, `_engine` and the library.
"""

import inspect
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing
from importlib import import_module
from pathlib import PurePath
from typing import Any, ClassVar, cast

from typing_extensions import Unpack

from autogen_core import Image
from autogen_core.models import LLMMessage, ModelFamily, ModelInfo, validate_model_info
from autogen_ext.models._shared._answer import Answer
from autogen_ext.models._shared._flow import Asked, FlowingClient, Request
from autogen_ext.models._shared._tokens import count_messages, count_tools, image_tokens
from autogen_ext.models._shared._tools import tool_specs

from ._decode import completion_of, finish, read_chunk
from ._encode import ToolsBy, encode_messages
from ._engine import Engine, TokenCounter
from ._errors import explaining
from ._params import LlamaCppParams
from ._request import build

_CALLING_FORMATS = frozenset({"chatml-function-calling", "functionary", "functionary-v1", "functionary-v2"})
"""Chat formats of the library that know tools and find calls themselves."""


_FOR_REPOSITORIES = frozenset(
    {"repo_id", "filename", "additional_files", "local_dir", "local_dir_use_symlinks", "cache_dir"}
)
"""Arguments of `Llama.from_pretrained` that `Llama` does not take."""


class LlamaCppChatCompletionClient(FlowingClient):
    """Chat completion client for a model that llama-cpp-python runs in this process.

    The model is loaded here, which may take a while, and works in a thread of its own, one call after the other.
    Cancelling a call or closing a stream stops it at the next token; a prompt that is being read is read to its end.

    Args:
        model_info: What the model can do; by default `DEFAULT_MODEL_INFO`.
        kwargs: See `LlamaCppParams`: `model_path`, or `repo_id` and `filename`, and what else `Llama` takes.

    Raises:
        ImportError: The library is not installed.
        ValueError: No model is named, there is no such file, or `model_info` lacks something.
    """

    DEFAULT_MODEL_INFO: ModelInfo = ModelInfo(
        vision=False, json_output=True, family=ModelFamily.UNKNOWN, function_calling=True, structured_output=True
    )

    _provider: ClassVar[str] = "llama_cpp"

    def __init__(self, model_info: ModelInfo | None = None, **kwargs: Unpack[LlamaCppParams]) -> None:
        if model_info is not None:
            validate_model_info(model_info)
        arguments: dict[str, Any] = {"verbose": False, **kwargs}
        library = _load_library()
        if arguments.get("repo_id") and arguments.get("filename"):
            model = str(arguments["repo_id"])
            arguments.pop("model_path", None)
            self.llm: Any = library.Llama.from_pretrained(**arguments)
        elif arguments.get("model_path"):
            model = PurePath(arguments["model_path"]).name
            self.llm = library.Llama(**{name: arguments[name] for name in arguments if name not in _FOR_REPOSITORIES})
        else:
            raise ValueError(
                "Please provide model_path=..., the path of a GGUF file, or repo_id=... and filename=... of Hugging Face."
            )
        super().__init__(model, model_info or self.DEFAULT_MODEL_INFO)
        self._library = library
        self._engine = Engine()
        self._tools_by: ToolsBy = _tools_by(self.llm, with_handler=arguments.get("chat_handler") is not None)

    def count_tokens(  # pyright: ignore[reportIncompatibleMethodOverride] - the contract's signature
        self, messages: Sequence[LLMMessage], **kwargs: Any
    ) -> int:
        """Return about how many tokens a conversation takes, by the model's own vocabulary.

        Args:
            messages: The conversation.
            kwargs: `tools` are counted as well.
        """
        encoded = encode_messages(messages, vision=True, image=_image_size)
        tools = tool_specs(kwargs.get("tools") or [])
        return count_messages(encoded, self._count_text) + count_tools(tools, self._count_text)

    def remaining_tokens(  # pyright: ignore[reportIncompatibleMethodOverride] - the contract's signature
        self, messages: Sequence[LLMMessage], **kwargs: Any
    ) -> int:
        """Return about how many tokens of the context are left beside a conversation; negative if it is too long."""
        return int(self.llm.n_ctx()) - self.count_tokens(messages, **kwargs)

    async def close(self) -> None:
        """Wait for the call that is going on, if there is one, and free the model. The client is not used afterwards."""
        await self._engine.close(self.llm.close)

    def _count_text(self, text: str) -> int:
        return len(self.llm.tokenize(text.encode(), add_bos=False))

    def _build(self, asked: Asked) -> Request:
        known = inspect.signature(self.llm.create_chat_completion).parameters
        return build(asked, info=self._model_info, tools_by=self._tools_by, known=known)

    async def _send(self, request: Request) -> Any:
        # Always as a stream: only between its items can the library be stopped.
        async with aclosing(self._chunks(request)) as chunks:
            return [chunk async for chunk in chunks]

    async def _open(self, request: Request) -> AsyncIterator[Any]:
        return self._chunks(request)

    def _chunks(self, request: Request) -> Any:
        return self._engine.stream(lambda: self._complete(request))

    def _complete(self, request: Request) -> Iterator[Any]:
        """Yield the chunks of an answer, and what it took. Runs in the model's thread."""
        counter = TokenCounter()
        arguments: dict[str, Any] = dict(request.arguments)
        if request.tools:
            arguments["tools"] = request.tools
        own: list[Any] = arguments.pop("logits_processor", None) or []
        reply = self.llm.create_chat_completion(
            messages=request.messages,
            stream=True,
            logits_processor=self._library.LogitsProcessorList([*own, counter]),
            **arguments,
        )
        # A chat format that does not stream answers with a whole reply.
        whole = isinstance(reply, dict)
        yield from [cast("Any", reply)] if whole else reply
        usage = {"prompt_tokens": counter.prompt_tokens, "completion_tokens": counter.completion_tokens}
        yield {"choices": [], "usage": usage}

    async def _close_stream(self, stream: AsyncIterator[Any]) -> None:
        await cast("Any", stream).aclose()

    def _read(self, answer: Answer, reply: Any) -> None:
        for chunk in reply:
            read_chunk(answer, chunk)

    def _read_piece(self, answer: Answer, piece: Any) -> list[str]:
        return read_chunk(answer, piece)

    def _finish_stream(self, answer: Answer) -> list[str]:
        return finish(answer)

    def _explaining(self) -> AbstractContextManager[None]:
        return explaining(self._model)

    def _dump(self, reply: Any) -> dict[str, Any]:
        return completion_of(reply)

    def _span_facts(self, request: Request) -> tuple[dict[str, Any], str | None]:
        return request.arguments, None


def _load_library() -> Any:
    try:
        return import_module("llama_cpp")
    except ImportError as error:
        raise ImportError('Models by llama-cpp-python need an extra: pip install "autogen-ext[llama-cpp]"') from error


def _tools_by(llm: Any, *, with_handler: bool) -> ToolsBy:
    """Find out who tells the model about tools."""
    form = str(llm.chat_format)
    if with_handler or form in _CALLING_FORMATS:
        return "format"
    metadata: dict[str, Any] = llm.metadata or {}
    template = str(metadata.get("tokenizer.chat_template", ""))
    return "template" if form.startswith("chat_template") and "tools" in template else "text"


def _image_size(image: Image) -> dict[str, Any]:
    return {"type": "image", "tokens": image_tokens(image)}
