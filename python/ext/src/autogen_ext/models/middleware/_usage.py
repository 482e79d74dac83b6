"""Whose call it was, and what it cost. Stands on the model contract and on the ambient run and agent."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from autogen_core import MessageHandlerContext
from autogen_core.lowlevel import RunScope
from autogen_core.models import ChatCompletionClient
from autogen_ext.models._shared._usage import DetailedUsage

from ._base import ModelMiddleware


@dataclass(frozen=True, slots=True)
class UsageScope:
    """Whose calls are made: the run, and the agent. Empty texts stand for what is not known."""

    run: str = ""
    agent: str = ""


_NOBODY = UsageScope()
_scope: ContextVar[UsageScope] = ContextVar("usage_scope")


@contextmanager
def usage_scope(run: str | None = None, agent: str | None = None) -> Generator[UsageScope]:
    """Say for which run, or which agent, the calls within the block are made.

    Where nothing is said, an agent or a team that is run says it by itself: the run has an id of its own, which the teams and
    tools in it share, and the agent is the one that asks the model. What is said here ranks above that. Scopes nest; what an
    inner one does not say is taken from the outer one.
    """
    outer = _scope.get(_NOBODY)
    scope = UsageScope(outer.run if run is None else run, outer.agent if agent is None else agent)
    token = _scope.set(scope)
    try:
        yield scope
    finally:
        _scope.reset(token)


def current_scope() -> UsageScope:
    """Return whose calls are made here."""
    said = _scope.get(_NOBODY)
    running = RunScope.current()
    run, agent = _handling() if running is None else (running.run, running.agent)
    return UsageScope(said.run or run, said.agent or agent)


def _handling() -> tuple[str, str]:
    """Return who handles a message outside of all runs: an agent of the core, whose key stands for the run."""
    try:
        handling = MessageHandlerContext.agent_id()
    except RuntimeError:
        return "", ""
    return handling.key, handling.type


def config_of(client: ChatCompletionClient) -> dict[str, Any]:
    """Return the configuration of the client that asks the model, also through middleware; empty if it does not tell."""
    while isinstance(client, ModelMiddleware):
        client = client.client
    try:
        return client.dump_component().config
    except Exception:  # noqa: BLE001 - a client that cannot be dumped, for whatever reason, does not tell
        return {}


def model_of(client: ChatCompletionClient) -> str:
    """Return the name of the model that a client asks; `unknown` if it does not tell."""
    config = config_of(client)
    return str(config.get("model") or config.get("azure_deployment") or "unknown")


Price: TypeAlias = Callable[[str, str | None, DetailedUsage], Decimal | None]
"""Returns what a usage costs in US dollars, given a model and perhaps a provider; `None` if that is not known."""


def price_of(model: str, provider: str | None, usage: DetailedUsage) -> Decimal | None:
    """Return what a usage costs in US dollars by the tables of `genai-prices`; `None` for a model that is not in them.

    Args:
        model: Its name, as the provider spells it.
        provider: The provider's id in these tables, such as `openai` or `aws`; `None` finds it by the model.
        usage: What was used.

    Raises:
        ImportError: The tables are not installed.
    """
    try:
        from genai_prices import Usage, calc_price
    except ImportError as error:
        raise ImportError('Prices need an extra: pip install "autogen-ext[prices]"') from error

    used = Usage(
        input_tokens=max(usage.prompt_tokens, usage.cached_tokens + usage.cache_write_tokens),
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.completion_tokens,
    )
    try:
        return calc_price(used, model, provider_id=provider).total_price
    except LookupError:
        return None
