"""A loaded model inside this process: chat, embeddings, tokens. Stands on `xllamacpp`, and asyncio.

Every request runs on a thread of its own, since the engine's calls block, and hands its chunks to the event loop that
waits for them. A thread ends with its request, at the next chunk after the request was given up. At exit all requests are
given up. Must not know messages, tools, or the shape of a conversation.
"""

import asyncio
import atexit
import http.client
import json
import re
import secrets
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from ._errors import ContextLengthError, EngineMissingError, GenerationError, LocalModelError, ModelLoadError

Json = dict[str, Any]

_BATCH_TOKENS = 64
"""Tokens of a prompt that are computed at a time. Between two batches a request can be given up, so they are small: on one
core this costs no speed (152 tokens/s with 64 as with 512, SmolLM2-135M) and bounds the delay to under a second."""

_EMBEDDING_TOKENS = 2048
"""Tokens that a text to embed may have: it has to fit into one batch."""

_TOO_LARGE = re.compile(r"input \((\d+) tokens\) is too large .*batch size: (\d+)")
"""How the engine says that a text to embed is too long: without a code of its own."""

_PROMPT_CACHE_MIB = 128
"""Memory for the states of earlier prompts, so that a conversation that comes back is not read again."""

_EXIT_S = 1.2
"""Seconds that the exit of the interpreter waits for requests to notice that they were given up."""

_HTTP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What makes an engine; equal settings share one.

    Attributes:
        path: The model file.
        n_ctx: Tokens that one conversation may have, prompt and answer.
        n_threads: Threads that compute.
        slots: Requests that are served at the same time; others wait.
        embedding: Whether it makes embeddings instead of text.
    """

    path: Path
    n_ctx: int
    n_threads: int
    slots: int = 2
    embedding: bool = False


class Engine:
    """A model that is loaded. Make it with `load`; it is freed when nobody refers to it any more."""

    def __init__(self, server: Any, settings: EngineSettings, key: str) -> None:
        self.settings = settings
        self._server = server
        self._key = key
        address = str(server.listening_address).removeprefix("http://")
        host, _, port = address.rpartition(":")
        self._host, self._port = host, int(port)
        meta: Json = self._ask("/v1/models")["data"][0]["meta"]
        self.n_params: int = meta["n_params"]
        self.n_ctx: int = min(settings.n_ctx, self._ask("/props")["default_generation_settings"]["n_ctx"])
        self.supports_tools = bool(self._ask("/props")["chat_template_caps"].get("supports_tools"))

    @classmethod
    def load(cls, settings: EngineSettings) -> "Engine":
        """Load a model. Blocks for its size: half a second for 100 MB, several for a few GB.

        Raises:
            EngineMissingError: The engine is not installed.
            ModelLoadError: The engine cannot load the file.
        """
        xllamacpp = _native()
        key = secrets.token_hex(16)
        try:
            server = xllamacpp.Server(_parameters(xllamacpp, settings, key))
        except RuntimeError as error:
            raise ModelLoadError(settings.path, str(error)) from error
        return cls(server, settings, key)

    @staticmethod
    def grammar(schema: Json) -> str:
        """Return the grammar of a JSON schema, for the field `grammar` of a request.

        The engine ignores a grammar that it cannot follow; whether an answer is JSON has to be looked at.
        """
        return str(_native().json_schema_to_grammar(schema))

    @property
    def busy(self) -> bool:
        """Whether the engine computes at this moment."""
        return any(slot["is_processing"] for slot in self._ask("/slots"))

    def count_tokens(self, prompt: Json) -> int:
        """Return the tokens of `messages` and `tools` as the model gets them. Blocks for about a millisecond."""
        text = self._ask("/apply-template", prompt)["prompt"]
        body = {"content": text, "add_special": True, "parse_special": True}
        return len(self._ask("/tokenize", body)["tokens"])

    def chat(self, request: Json) -> AsyncGenerator[Json, None]:
        """Yield the chunks of an answer to a chat request, both in OpenAI's form.

        Closing the stream gives up the request: the engine stops at its next token, or batch of the prompt.

        Raises:
            ContextLengthError: The prompt is longer than the context.
            GenerationError: The engine refused the request or failed.
        """
        # Progress is asked for so that a long prompt, too, can be given up between two batches.
        whole = {**request, "stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
        return _run(self._server.handle_chat_completions, whole)

    async def embed(self, texts: Sequence[str]) -> Json:
        """Return the embeddings of texts: `data` with one `embedding` each, and `usage`.

        Raises:
            ContextLengthError: A text is too long.
            GenerationError: A text is empty.
        """

        def call(request: Json, take: Callable[[Json], bool]) -> None:
            take(self._server.handle_embeddings(request))

        request = {"input": list(texts), "encoding_format": "float"}
        async with aclosing(_run(call, request)) as answers:
            async for answer in answers:
                return answer
        raise GenerationError("The engine gave no embeddings.")

    def _ask(self, path: str, body: Json | None = None) -> Any:
        """Ask what the engine tells only over HTTP: it listens on the loopback interface, behind a key."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_HTTP_TIMEOUT_S)
        try:
            headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
            data = None if body is None else json.dumps(body).encode()
            connection.request("GET" if body is None else "POST", path, data, headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise _error_of(answer)
        return answer


def _native() -> Any:
    """Return the engine's module, which has no types. It takes 100 MB of memory, so it is loaded late."""
    try:
        return import_module("xllamacpp")
    except ImportError as error:
        raise EngineMissingError("xllamacpp") from error


def _parameters(xllamacpp: Any, settings: EngineSettings, key: str) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(settings.path)
    params.n_ctx = settings.n_ctx * settings.slots
    params.n_parallel = settings.slots
    params.cpuparams.n_threads = settings.n_threads
    params.cpuparams_batch.n_threads = settings.n_threads
    params.n_batch = params.n_ubatch = _BATCH_TOKENS
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.api_keys = [key]
    params.port = 0
    params.verbosity = 0
    params.warmup = False
    params.use_jinja = True
    params.fit_params = False
    params.ui = False
    if settings.embedding:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
        params.n_batch = params.n_ubatch = min(_EMBEDDING_TOKENS, settings.n_ctx)
    return params


class _Request:
    """A request on its thread, and the queue that brings its chunks to the event loop."""

    def __init__(self, call: Callable[[Json, Callable[[Json], bool]], object], request: Json) -> None:
        self.chunks: asyncio.Queue[Json | Exception | None] = asyncio.Queue()
        self._call = call
        self._request = request
        self._loop = asyncio.get_running_loop()
        self._given_up = False
        # A daemon: the exit of the interpreter must not wait for a long answer.
        self.thread = threading.Thread(target=self._run, name="local-model-request", daemon=True)

    def start(self) -> None:
        _requests.add(self)
        try:
            self.thread.start()
        except RuntimeError:  # no thread can be had
            _requests.discard(self)
            raise

    def give_up(self) -> None:
        self._given_up = True

    def _run(self) -> None:
        end: Exception | None = None
        try:
            self._call(self._request, self._take)
        except Exception as error:  # noqa: BLE001 - raised where the chunks are waited for
            end = GenerationError(f"The engine refused the request: {error}")
            end.__cause__ = error
        finally:
            self._hand_over(end)
            _requests.discard(self)

    def _take(self, chunk: Json) -> bool:
        """Take a chunk; `True` stops the engine. Must not raise: the engine would swallow it."""
        return self._given_up or not self._hand_over(chunk)

    def _hand_over(self, item: Json | Exception | None) -> bool:
        try:
            self._loop.call_soon_threadsafe(self.chunks.put_nowait, item)
        except RuntimeError:  # the event loop is closed: nobody waits any more
            return False
        return True


_requests: set[_Request] = set()
"""Requests whose threads run."""


async def _run(call: Callable[[Json, Callable[[Json], bool]], object], request: Json) -> AsyncGenerator[Json, None]:
    """Run a blocking call on a thread and yield what it hands over, until it returns."""
    running = _Request(call, request)
    running.start()
    try:
        while (item := await running.chunks.get()) is not None:
            if isinstance(item, Exception):
                raise item
            if "error" in item:
                raise _error_of(item)
            yield item
    finally:
        running.give_up()


def _error_of(answer: Json) -> LocalModelError:
    """Make an error of what the engine answers in its place."""
    error = answer.get("error")
    if not isinstance(error, dict):
        return GenerationError(f"The engine failed: {error}")
    fields = cast("Json", error)
    if fields.get("type") == "exceed_context_size_error":
        return ContextLengthError(int(fields["n_prompt_tokens"]), int(fields["n_ctx"]))
    too_large = _TOO_LARGE.search(str(fields.get("message")))
    if too_large is not None:
        return ContextLengthError(int(too_large[1]), int(too_large[2]))
    return GenerationError(f"The engine refused the request: {fields.get('message', fields)}")


def _give_up_all() -> None:
    """Give up every request and wait a moment, so that no thread meets an interpreter that is being taken down."""
    running = list(_requests)
    for request in running:
        request.give_up()
    until = time.monotonic() + _EXIT_S
    for request in running:
        request.thread.join(max(0.0, until - time.monotonic()))


atexit.register(_give_up_all)
