"""Hands requests to the SDK and takes its replies: the one place where a client speaks to a server.

Every call goes through the SDK's public `chat.completions.create`, since users and instrumentation patch it. Where somebody
has, that method gets and returns just what it would elsewhere. Where nobody has, the request goes to it prepared, and the
reply is taken as JSON, for the SDK spends more on turning messages, tools and replies into objects than the call costs.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from types import MethodType
from typing import TYPE_CHECKING, Any

from autogen_core import CancellationToken
from autogen_ext.models._shared._cancellation import cancellable, cancellable_items

from ._request import NAMED, Request
from ._sse import EventReader

if TYPE_CHECKING:
    from openai import AsyncAzureOpenAI, AsyncOpenAI


async def send(client: "AsyncOpenAI | AsyncAzureOpenAI", request: Request, token: CancellationToken | None) -> Any:
    """Send a request that is not streamed; return the reply as JSON, or as the object of whoever patched the SDK."""
    completions: Any = client.chat.completions
    if not _is_untouched(completions):
        try:
            return await cancellable(completions.create(**request.params), token)
        except json.JSONDecodeError as error:  # the SDK lets it pass
            return error.doc
    reply = await _send_prepared(client, completions.with_raw_response.create, request, token)
    return _json_or_text(reply.http_response)


async def open_stream(
    client: "AsyncOpenAI | AsyncAzureOpenAI", request: Request, token: CancellationToken | None
) -> Any:
    """Send a streamed request; return the SDK's stream, or that of whoever patched the SDK. The caller closes it."""
    completions: Any = client.chat.completions
    if not _is_untouched(completions):
        return await cancellable(completions.create(**request.params), token)
    return await _send_prepared(client, completions.create, request, token)


async def chunks_of(stream: Any, token: CancellationToken | None, reader: EventReader) -> AsyncGenerator[Any, None]:
    """Yield the chunks of a stream: JSON from the SDK's own stream, and whatever it yields from any other."""
    import openai

    if type(stream) is not openai.AsyncStream:
        async with aclosing(cancellable_items(stream, token)) as chunks:
            async for chunk in chunks:
                yield chunk
        return
    async with aclosing(cancellable_items(stream.response.aiter_bytes(), token)) as blocks:
        async for block in blocks:
            for chunk in reader.feed(block):
                yield chunk
            if reader.finished or reader.failed is not None:
                return
    for chunk in reader.end():
        yield chunk


async def whole_reply(stream: Any) -> Any:
    """Return the body of a reply that is no stream, as servers send that cannot stream or report an error so."""
    response = getattr(stream, "response", None)
    kind = response.headers.get("content-type", "") if response is not None else ""
    if response is None or not isinstance(kind, str) or not kind.startswith(("application/json", "text/html")):
        return None
    await response.aread()
    return _json_or_text(response)


async def _send_prepared(client: Any, create: Any, request: Request, token: CancellationToken | None) -> Any:
    import openai

    from ._http import PreparedHttpClient, messages_ready

    ours = isinstance(getattr(client, "_client", None), PreparedHttpClient)
    named = NAMED - {"model"} if type(client) is openai.AsyncOpenAI else NAMED
    params = request.prepared_params(with_messages=not ours, named=named)
    with messages_ready(request.messages_json) if ours else nullcontext():
        return await cancellable(create(**params), token)


def _is_untouched(completions: Any) -> bool:
    """Tell whether `create` is the SDK's own: wrappers of any kind live in other modules or are no methods."""
    create = completions.create
    if type(create) is not MethodType:
        return False
    function: Any = create.__func__
    return function.__globals__["__name__"].startswith("openai.")


def _json_or_text(response: Any) -> Any:
    """Return a reply's JSON; its text if it is none."""
    try:
        return json.loads(response.content)
    except ValueError:
        return response.text
