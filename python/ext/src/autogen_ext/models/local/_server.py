"""A server that speaks OpenAI's protocol with a model inside this process. Stands on `_recipe`, starlette and uvicorn.

Any model name is answered by the one model. Tools work as with the client, also where the model's own template has none.
"""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from ._decode import Reply
from ._embedder import LocalEmbedder
from ._engine import EngineSettings
from ._errors import EngineMissingError
from ._pool import EngineLease, default_threads
from ._recipe import chat, manner_of
from ._request import ToolCalling
from ._weights import find_weights
from ._wire import ChatBody, ChatWriter, Json, WireError, read_chat, read_embeddings, write_embeddings

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
    from starlette.types import Receive, Scope, Send
except ImportError as error:
    raise EngineMissingError(error.name or "starlette") from error

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]

_SHUTDOWN_S = 1
"""Seconds that open connections get at the end. What the model computes for them is given up at once."""

_LEFT = "The client of %s went away."

_logger = logging.getLogger("autogen_ext.models.local")


class LocalModelServer:
    """An OpenAI-compatible server in this process and event loop; it ends with them.

        async with LocalModelServer() as server:
            client = openai.AsyncOpenAI(base_url=server.base_url, api_key="none")

    It offers `/v1/chat/completions`, `/v1/embeddings`, `/v1/models` and `/health`. There are no keys: it is meant for the
    loopback interface. A client that goes away stops what the model computes for it.

    Args:
        model: Path of a GGUF file; by default the default local model.
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        n_ctx: Tokens that a conversation may have, with its answer.
        n_threads: Threads that compute; by default one less than there are cores.
        max_tokens: Tokens that an answer may have where the request does not say.
        tool_calling: As for `LocalChatCompletionClient`.
        sha256: The checksum that the file must have.

    Raises:
        EngineMissingError: The extra is not installed (an `ImportError`).
        ModelMissingError: There is no such file, or the default model is not installed (a `FileNotFoundError`).
        NotGgufError: The file is no model (a `ValueError`).
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        n_ctx: int = 4096,
        n_threads: int | None = None,
        max_tokens: int = 1024,
        tool_calling: ToolCalling = "auto",
        sha256: str | None = None,
    ) -> None:
        weights = find_weights(model, sha256)
        threads = n_threads or default_threads()
        self._lease = EngineLease(weights, EngineSettings(weights.path, n_ctx=n_ctx, n_threads=threads))
        self._embedder = LocalEmbedder(weights.path, n_threads=threads, sha256=weights.sha256)
        self._name = weights.path.stem
        self._host, self._port = host, port
        self._max_tokens = max_tokens
        self._tool_calling: ToolCalling = tool_calling
        self._computing: set[asyncio.Future[Any]] = set()
        self._socket: socket.socket | None = None
        self._uvicorn: _Uvicorn | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def base_url(self) -> str:
        """The address for clients, such as `http://127.0.0.1:8000/v1`.

        Raises:
            RuntimeError: The server was not started.
        """
        if self._socket is None:
            raise RuntimeError("The server has no address before it is started: use `async with`, or await start().")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._socket.getsockname()[1]}/v1"

    @property
    def model_name(self) -> str:
        """The name of the model, from its file."""
        return self._name

    async def start(self) -> None:
        """Load the model and listen.

        Raises:
            OSError: The address cannot be had.
            LocalModelError: The model cannot be loaded.
        """
        if self._serving is not None:
            raise RuntimeError("The server is running already.")
        try:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            self._socket = socket.create_server((self._host, self._port), family=family)
            await self._lease.engine()
            config = uvicorn.Config(
                self._app(),
                lifespan="off",
                ws="none",
                log_config=None,
                log_level="critical",
                access_log=False,
                timeout_graceful_shutdown=_SHUTDOWN_S,
            )
            self._uvicorn = _Uvicorn(config)
            self._serving = asyncio.create_task(self._uvicorn.serve(sockets=[self._socket]), name="local-model-server")
            await self._uvicorn.until_listening(self._serving)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Give up what is being computed, close the connections, and give the model back. Takes about a second at most."""
        for computing in list(self._computing):
            computing.cancel()
        serving, self._serving = self._serving, None
        if self._uvicorn is not None and serving is not None:
            self._uvicorn.should_exit = True
            await asyncio.wait({serving})
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._lease.release()
        await self._embedder.close()
        if serving is not None and not serving.cancelled():
            serving.result()

    async def __aenter__(self) -> Self:
        """Start the server."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the server."""
        await self.stop()

    def _app(self) -> Starlette:
        routes = [
            Route("/health", self._health),
            Route("/v1/models", self._models),
            Route("/v1/models/{model:path}", self._model),
            Route("/v1/chat/completions", _answering(self._chat_completions), methods=["POST"]),
            Route("/v1/embeddings", _answering(self._embeddings), methods=["POST"]),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _http_error, Exception: _failure})

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._card(self._name)]})

    async def _model(self, request: Request) -> Response:
        return JSONResponse(self._card(request.path_params["model"]))

    def _card(self, name: str) -> Json:
        return {"id": name, "object": "model", "created": 0, "owned_by": "local"}

    async def _chat_completions(self, request: Request) -> Response:
        body = read_chat(await _json_of(request), max_tokens=self._max_tokens)
        writer = ChatWriter(body.model or self._name)
        if body.stream:
            return await self._streamed(request, body, writer)
        reply = await self._while_connected(request.receive, self._whole(body))
        return JSONResponse(writer.whole(reply))

    async def _embeddings(self, request: Request) -> Response:
        texts, model, as_base64 = read_embeddings(await _json_of(request))
        vectors, tokens = await self._while_connected(request.receive, self._embedder.embed_counting(texts))
        return JSONResponse(write_embeddings(vectors, tokens, model or self._name, as_base64=as_base64))

    async def _streamed(self, request: Request, body: ChatBody, writer: ChatWriter) -> Response:
        pieces = self._pieces(body)
        try:
            # Waited for before the answer begins: an error must still be able to set the status.
            first = await self._while_connected(request.receive, anext(pieces))
        except BaseException:
            await pieces.aclose()
            raise
        return _EventStream(_events(writer, body, first, pieces), self._while_connected)

    async def _pieces(self, body: ChatBody) -> AsyncGenerator[str | Reply, None]:
        engine = await self._lease.engine()
        async with aclosing(chat(engine, body.request, manner_of(engine, self._tool_calling))) as pieces:
            async for piece in pieces:
                yield piece

    async def _whole(self, body: ChatBody) -> Reply:
        reply = Reply()
        async with aclosing(self._pieces(body)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Reply):
                    reply = piece
        return reply

    async def _while_connected(self, receive: Receive, work: Awaitable[T]) -> T:
        """Await work, unless the client goes away or the server stops: then it is cancelled.

        Raises:
            ClientDisconnect: Nobody waits for the answer any more.
        """
        working = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(_disconnected(receive))
        self._computing.add(working)
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if working.done() and not working.cancelled():
                return working.result()
            raise ClientDisconnect
        finally:
            self._computing.discard(working)
            working.cancel()
            leaving.cancel()
            await asyncio.gather(working, leaving, return_exceptions=True)


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handlers: the signals belong to the program that the server runs in."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening.set()

    async def until_listening(self, serving: asyncio.Task[None]) -> None:
        """Wait until connections are taken, or until serving ended, which means that it failed."""
        listening = asyncio.ensure_future(self._listening.wait())
        try:
            await asyncio.wait({listening, serving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class _EventStream(Response):
    """An answer in server-sent events, which ends when its client goes away."""

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncGenerator[bytes, None],
        while_connected: Callable[[Receive, Awaitable[None]], Awaitable[None]],
    ) -> None:
        super().__init__(headers={"cache-control": "no-store"})
        del self.headers["content-length"]
        self._events = events
        self._while_connected = while_connected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await self._while_connected(receive, self._send(send))
        except (ClientDisconnect, OSError):
            _logger.debug(_LEFT, scope.get("path"))
        finally:
            await self._events.aclose()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for event in self._events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _events(
    writer: ChatWriter, body: ChatBody, first: str | Reply, rest: AsyncGenerator[str | Reply, None]
) -> AsyncGenerator[bytes, None]:
    """Write an answer as server-sent events."""
    async with aclosing(rest):
        yield _event(writer.role())
        try:
            piece: str | Reply | None = first
            while piece is not None:
                if isinstance(piece, str):
                    yield _event(writer.text(piece))
                else:
                    for item in writer.end(piece):
                        yield _event(item)
                    if body.include_usage:
                        yield _event(writer.usage(piece.usage))
                piece = await anext(rest, None)
        except Exception as error:
            _logger.debug("An answer failed.", exc_info=True)
            yield _event(WireError.of(error).body())
            return
        yield b"data: [DONE]\n\n"


def _event(data: Json) -> bytes:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _answering(handle: Handler) -> Handler:
    """Turn what goes wrong into answers in OpenAI's form."""

    async def answer(request: Request) -> Response:
        try:
            return await handle(request)
        except ClientDisconnect:
            _logger.debug(_LEFT, request.url.path)
            return Response(status_code=499)  # nobody reads it
        except Exception as error:
            _logger.debug("A request failed.", exc_info=True)
            return _error_response(WireError.of(error))

    return answer


async def _json_of(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise WireError(f"The body is no JSON: {error}") from error


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse(
        {"error": {"message": error.detail, "type": "invalid_request_error", "param": None, "code": None}},
        status_code=error.status_code,
        headers=error.headers,
    )


async def _failure(_: Request, error: Exception) -> Response:
    return _error_response(WireError.of(error))


def _error_response(error: WireError) -> Response:
    return JSONResponse(error.body(), status_code=error.status)
