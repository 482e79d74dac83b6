"""What a call used, with the details that the contract has no place for. Stands on the model contract; knows no provider."""

from autogen_core.models import RequestUsage

DETAILS = ("cached_tokens", "cache_write_tokens", "reasoning_tokens")


class DetailedUsage(RequestUsage):
    """What a request used, in tokens, as far as the provider tells.

    A client may return this, or any `RequestUsage` with attributes of these names, as the usage of its results. To programs
    that do not look for the details it is a plain usage: in comparisons with one, as JSON, and to `dataclasses.asdict`.

    Attributes:
        cached_tokens: Those of `prompt_tokens` that the provider read from its cache.
        cache_write_tokens: Those of `prompt_tokens` that it wrote to its cache.
        reasoning_tokens: Those of `completion_tokens` that went into reasoning.
    """

    def __init__(
        self,
        prompt_tokens: int,
        completion_tokens: int,
        cached_tokens: int = 0,
        cache_write_tokens: int = 0,
        reasoning_tokens: int = 0,
    ) -> None:
        super().__init__(prompt_tokens, completion_tokens)
        self.cached_tokens = cached_tokens
        self.cache_write_tokens = cache_write_tokens
        self.reasoning_tokens = reasoning_tokens

    def __eq__(self, other: object) -> bool:
        """Compare with another by all numbers, with a plain usage by its two."""
        if isinstance(other, DetailedUsage):
            return vars(self) == vars(other)
        if isinstance(other, RequestUsage):
            return (self.prompt_tokens, self.completion_tokens) == (other.prompt_tokens, other.completion_tokens)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # a usage has none, since it can be changed

    def __repr__(self) -> str:
        """Return the numbers, the details as far as there are any."""
        said = {name: value for name, value in vars(self).items() if value or name not in DETAILS}
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in said.items())})"


def detailed(usage: RequestUsage) -> DetailedUsage:
    """Return a usage with its details, zero where there are none."""
    if isinstance(usage, DetailedUsage):
        return usage
    details = {name: getattr(usage, name, 0) or 0 for name in DETAILS}
    return DetailedUsage(usage.prompt_tokens, usage.completion_tokens, **details)
