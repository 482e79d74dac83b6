"""Answers a repeated call from a store. Stands on the contract of a cache; must not know where values are kept."""

import asyncio
import logging
from typing import Any, Self, TypeAlias, cast

from pydantic import BaseModel, ValidationError

from autogen_core import CacheStore, Component, ComponentModel, InMemoryStore
from autogen_core.models import ChatCompletionClient, CreateResult

from ._base import Items, ModelCall, ModelMiddleware
from ._request import fingerprint, request_data

_log = logging.getLogger("autogen_ext.models.middleware")

CHAT_CACHE_VALUE_TYPE: TypeAlias = CreateResult | list[str | CreateResult]
"""What is kept: an answer, or the items of a streamed one."""


class ChatCompletionCacheConfig(BaseModel):
    """A `ChatCompletionCache` as data."""

    client: ComponentModel
    store: ComponentModel | None = None
    """`None` for a store in memory."""


class ChatCompletionCache(ModelMiddleware, Component[ChatCompletionCacheConfig]):
    """Answers a call that was answered before from a store, at once and for nothing.

    Two calls are the same if messages, tools, tool choice, kind of output and extra arguments are; which model is asked is
    not looked at, so each model needs a store of its own. An answer from the store is marked as `cached`, and its usage is
    that of the call that was made. A streamed answer serves calls that are not streamed, and the reverse. A stream that
    was not read to its end is not kept.

    Args:
        client: Whom calls are passed to that were not answered before.
        store: Where answers are kept; by default in memory.
    """

    component_type = "chat_completion_cache"
    component_config_schema = ChatCompletionCacheConfig
    component_provider_override = "autogen_ext.models.cache.ChatCompletionCache"

    def __init__(self, client: ChatCompletionClient, store: CacheStore[CHAT_CACHE_VALUE_TYPE] | None = None) -> None:
        super().__init__(client)
        self.store: CacheStore[CHAT_CACHE_VALUE_TYPE] = store or InMemoryStore()

    async def _create(self, call: ModelCall) -> CreateResult:
        key = fingerprint(request_data(call))
        known = await self._known(key)
        if known:
            return _result_of(known)
        result = await call.create(self.client)
        await self._keep(key, result)
        return result

    async def _stream(self, call: ModelCall) -> Items:
        key = fingerprint(request_data(call))
        known = await self._known(key)
        if known:
            for item in known[:-1]:
                yield item
            yield _result_of(known)
            return
        items: list[str | CreateResult] = []
        async with call.stream(self.client) as answer:
            async for item in answer:
                items.append(item)
                if isinstance(item, CreateResult):
                    # Kept before it is handed on: most readers do not come back after the result.
                    await self._keep(key, list(items))
                yield item

    async def _known(self, key: str) -> list[str | CreateResult]:
        """Return the items of a kept answer, the last of which is the result; nothing if there is none."""
        if getattr(self.store, "waits_on_network", False):
            value: Any = await asyncio.to_thread(self.store.get, key)
        else:
            value = self.store.get(key)
        if value is None:
            return []
        try:
            return _items_of(value)
        except (ValidationError, TypeError) as error:
            _log.warning("What is cached under %s is no answer of a model; the model is asked again: %s", key, error)
            return []

    async def _keep(self, key: str, value: CHAT_CACHE_VALUE_TYPE) -> None:
        if getattr(self.store, "waits_on_network", False):
            await asyncio.to_thread(self.store.set, key, value)
        else:
            self.store.set(key, value)

    def _to_config(self) -> ChatCompletionCacheConfig:
        in_memory = isinstance(self.store, InMemoryStore)
        return ChatCompletionCacheConfig(
            client=self.client.dump_component(), store=None if in_memory else self.store.dump_component()
        )

    @classmethod
    def _from_config(cls, config: ChatCompletionCacheConfig) -> Self:
        client = ChatCompletionClient.load_component(config.client)
        if config.store is None:
            return cls(client)
        return cls(client, CacheStore[CHAT_CACHE_VALUE_TYPE].load_component(config.store))


def _items_of(value: Any) -> list[str | CreateResult]:
    """Read a kept value: stores that write JSON give dictionaries, or text, for results.

    Raises:
        pydantic.ValidationError: It is no answer.
        TypeError: It is no answer.
    """
    if isinstance(value, list):
        *pieces, last = cast("list[Any]", value) or [None]
        return [*(str(piece) for piece in pieces), _read(last)]
    result = _read(value)
    return [result.content, result] if isinstance(result.content, str) and result.content else [result]


def _read(value: Any) -> CreateResult:
    if isinstance(value, str):
        return CreateResult.model_validate_json(value)
    if value is None:
        raise TypeError("nothing is cached where an answer should be")
    return CreateResult.model_validate(value)


def _result_of(items: list[str | CreateResult]) -> CreateResult:
    return cast("CreateResult", items[-1]).model_copy(update={"cached": True})
