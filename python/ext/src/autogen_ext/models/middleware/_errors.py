"""What middleware itself raises, beside the errors of `autogen_ext.models.errors` that it stands on.

ModelClientError
├── NotSentError                a call was not let through: nothing was sent, nothing used
│   ├── CircuitOpenError        the circuit is open (a ServerError, too)             .key .retry_after
│   ├── BudgetExceededError     the call may use more than is left          .limit .spent .reserved .needed .unit
│   └── CassetteMismatchError   a replayed program asks for what was not recorded    .path
└── RecordedError               the error that was recorded has no class of its own here    .type_name .kind
"""

from pathlib import Path

from autogen_ext.models.errors import ModelClientError, ServerError


class NotSentError(ModelClientError):
    """A piece of middleware did not let a call through: nothing was sent, and nothing used."""


class CircuitOpenError(ServerError, NotSentError):
    """The provider failed so often that it is left alone for a while. Nothing was sent.

    Attributes:
        key: Which circuit; `None` for one that has no key.
        retry_after: Seconds until a call is let through.
    """

    def __init__(self, key: str | None, retry_after: float) -> None:
        name = f"Circuit {key!r}" if key else "The circuit"
        super().__init__(
            f"{name} is open: the provider failed repeatedly. A call is let through in {retry_after:.1f} s; until then, "
            "use another model (FallbackClient)."
        )
        self.key = key
        self.retry_after = retry_after


class BudgetExceededError(NotSentError):
    """A call may use more than is left of a budget. Nothing was sent.

    Attributes:
        unit: `tokens`, or `USD`.
        limit: The budget.
        spent: What calls have used.
        reserved: What calls under way may use.
        needed: What this call may use.
    """

    def __init__(
        self, *, key: str | None, unit: str, limit: float, spent: float, reserved: float, needed: float
    ) -> None:
        name = f"budget {key!r}" if key else "budget"
        super().__init__(
            f"The {name} of {limit:g} {unit} does not allow a call that may use {needed:g}: {spent:g} are spent and "
            f"{reserved:g} reserved for calls under way. Raise the limit, or lower max_output_tokens."
        )
        self.unit = unit
        self.limit = limit
        self.spent = spent
        self.reserved = reserved
        self.needed = needed


class CassetteMismatchError(NotSentError):
    """A program that is replayed asks for something else than was recorded.

    Attributes:
        path: The cassette.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(
            f"Cassette {path.name!r}: {problem} Record it again with mode='record' if the program has changed."
        )
        self.path = path


class RecordedError(ModelClientError):
    """A call ended with this error when it was recorded. It has no class among the typed errors.

    Attributes:
        type_name: Its class at that time.
        kind: What kind of failure it was (a `FailureKind`).
    """

    def __init__(self, text: str, type_name: str = "", kind: str = "other") -> None:
        super().__init__(text)
        self.type_name = type_name
        self.kind = kind
