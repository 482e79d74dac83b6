"""Waiting, and streams that are begun before they are handed on. Stands on a call as a record."""

from typing import NamedTuple

from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient, CreateResult
from autogen_ext.models._shared._cancellation import cancellable

from ._base import Items, ModelCall
from ._clock import Clock


class Begun(NamedTuple):
    """A stream of which the first item is there. Whoever has it closes `rest`."""

    first: list[str | CreateResult]
    """The first item; empty if the stream has none."""
    rest: Items


async def begin(call: ModelCall, client: ChatCompletionClient) -> Begun:
    """Stream a call, and wait until the provider has begun to answer. If that fails, the stream is closed."""
    stream = call.stream(client)
    items = await stream.__aenter__()
    try:
        return Begun([await anext(items)], items)
    except StopAsyncIteration:
        return Begun([], items)
    except BaseException:
        await items.aclose()
        raise


async def wait(clock: Clock, seconds: float, token: CancellationToken | None) -> None:
    """Wait; the token, or cancelling the task, ends it with `asyncio.CancelledError`."""

    async def sleep() -> None:
        await clock.sleep(seconds)

    await cancellable(sleep(), token)
