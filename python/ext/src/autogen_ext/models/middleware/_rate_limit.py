"""A client that keeps within what the provider allows. Stands on the shared limit; knows no provider."""

from typing import Self

from pydantic import BaseModel

from autogen_core import Component, ComponentModel
from autogen_core.models import ChatCompletionClient, CreateResult

from ._base import Items, ModelCall, ModelMiddleware
from ._clock import SYSTEM_CLOCK, Clock
from ._limiter import RateLimit, RateLimitSettings


class RateLimitConfig(BaseModel):
    """A `RateLimitClient` as data."""

    client: ComponentModel
    limit: RateLimitSettings


class RateLimitClient(ModelMiddleware, Component[RateLimitConfig]):
    """Lets calls wait until the provider will take them: none is sent that is known to be refused.

    Clients of one key share one limit, also when they are loaded from configurations: name it after the account or key
    with the provider. If a call is refused (429), all of them pause for as long as the provider said; this client does not
    repeat the call, which is what `RetryClient` around it is for.

    Args:
        client: Whom calls are passed to.
        key: Who shares the limit within this process; `None` for this client alone.
        max_concurrency: How many calls may be under way; a stream is until it ends or is closed.
        requests_per_minute: How many calls may be made in any 60 seconds.
        tokens_per_minute: How many tokens may be used in any 60 seconds. A call counts as its conversation until it is
            answered, and then as what it used.
        clock: The time.

    Raises:
        ValueError: The key is in use with other limits.

    Calls are served in order. Cancelling one that waits takes it out of the line.
    """

    component_config_schema = RateLimitConfig
    component_provider_override = "autogen_ext.models.middleware.RateLimitClient"

    def __init__(
        self,
        client: ChatCompletionClient,
        *,
        key: str | None = None,
        max_concurrency: int | None = None,
        requests_per_minute: int | None = None,
        tokens_per_minute: int | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__(client)
        settings = RateLimitSettings(
            key=key,
            max_concurrency=max_concurrency,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
        )
        self.limit = RateLimit.of(settings, clock)

    async def _create(self, call: ModelCall) -> CreateResult:
        with await self.limit.permit(self._expected(call), call.cancellation_token) as permit:
            result = await call.create(self.client)
            permit.used(_tokens(result))
            return result

    async def _stream(self, call: ModelCall) -> Items:
        with await self.limit.permit(self._expected(call), call.cancellation_token) as permit:
            async with call.stream(self.client) as items:
                async for item in items:
                    permit.accepted()
                    if isinstance(item, CreateResult):
                        permit.used(_tokens(item))
                        # A reader may keep the finished stream open while its tools make calls of their own.
                        permit.give_back()
                    yield item

    def _expected(self, call: ModelCall) -> int:
        """Return what a call will use at least; counting takes time, so only where tokens are limited."""
        if self.limit.settings.tokens_per_minute is None:
            return 0
        return self.client.count_tokens(call.messages, tools=call.tools)

    def _to_config(self) -> RateLimitConfig:
        return RateLimitConfig(client=self.client.dump_component(), limit=self.limit.settings)

    @classmethod
    def _from_config(cls, config: RateLimitConfig) -> Self:
        return cls(ChatCompletionClient.load_component(config.client), **config.limit.model_dump())


def _tokens(result: CreateResult) -> int:
    return 0 if result.cached else result.usage.prompt_tokens + result.usage.completion_tokens
