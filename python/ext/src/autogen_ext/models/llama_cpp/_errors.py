"""What can go wrong with a model in this process: classes that are the library's and those of all model clients at once.

    ValueError
    └── LlamaCppContextLengthError   (ContextLengthError)   the conversation is too long
    RuntimeError
    └── LlamaCppGenerationError      (ServerError)          the model failed while it wrote

Everything else that the library raises, such as `ValueError` for a file that is not there, passes as it is.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager

from autogen_ext.models.errors import ContextLengthError, ServerError

PROVIDER = "llama_cpp"
_TOO_LONG = re.compile(r"Requested tokens \((\d+)\) exceed context window of (\d+)")


class LlamaCppContextLengthError(ContextLengthError, ValueError):
    """The conversation is longer than the model's context."""


class LlamaCppGenerationError(ServerError, RuntimeError):
    """The model failed while it wrote."""


@contextmanager
def explaining(model: str) -> Generator[None]:
    """Raise the library's errors as typed ones."""
    try:
        yield
    except ValueError as error:
        numbers = _TOO_LONG.search(str(error))
        if numbers is None:
            raise
        long = LlamaCppContextLengthError(f"{error}. Pass a larger n_ctx, or shorten the conversation.")
        long.limit, long.requested = int(numbers[2]), int(numbers[1])
        long.provider, long.model = PROVIDER, model
        raise long from error
    except RuntimeError as error:
        failed = LlamaCppGenerationError(f"Model {model} failed: {error}")
        failed.provider, failed.model = PROVIDER, model
        raise failed from error
