"""What can go wrong with a local model, as a tree. Stands on the errors of all model clients; knows no engine.

autogen_ext.models.errors.ModelClientError
└── LocalModelError
├── EngineMissingError     the engine is not installed (an ImportError)
├── ModelMissingError      no file under that path, or the default model is not installed (a FileNotFoundError)
├── ModelFileError         the file cannot be used (a ValueError)
│   ├── NotGgufError       it is no GGUF file
│   └── ChecksumError      it is not the file that was expected
├── ModelLoadError         the engine could not load the file
├── ContextLengthError     the prompt is longer than the context (that of all model clients, and a ValueError)
└── GenerationError        the engine refused or broke off a request
"""

from pathlib import Path

from autogen_ext.models import errors


class LocalModelError(errors.ModelClientError):
    """The root of what goes wrong with a local model."""

    provider = "local"


class EngineMissingError(LocalModelError, ImportError):
    """The package of the engine is not installed."""

    def __init__(self, module: str) -> None:
        super().__init__(f'Local models need an extra ({module} is missing): pip install "autogen-ext[local]"')
        self.module = module


class ModelMissingError(LocalModelError, FileNotFoundError):
    """There is no model file.

    Attributes:
        path: Where it was looked for; `None` stands for the default model.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__(
            f"There is no model file {path}: pass the path of a GGUF file, or leave it out for the default model."
            if path
            else "The default local model is not installed: run `python -m autogen_ext.models.local install`"
        )
        self.path = path


class ModelFileError(LocalModelError, ValueError):
    """A model file cannot be used.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(text)
        self.path = path


class NotGgufError(ModelFileError):
    """A file is not of the form that the engine reads."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, f"{path} is no GGUF file ({reason}): local models are single files in GGUF format.")


class ChecksumError(ModelFileError):
    """A file is not the one that was expected: damaged, cut off, or exchanged.

    Attributes:
        expected: The sha256 it should have, in hexadecimal digits.
        actual: The sha256 it has.
    """

    def __init__(self, path: Path, expected: str, actual: str) -> None:
        super().__init__(
            path, f"{path} is refused: its sha256 is {actual}, expected was {expected}. Get the file anew."
        )
        self.expected = expected
        self.actual = actual


class ModelLoadError(LocalModelError):
    """The engine could not load a model.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The engine could not load {path} ({reason}). The file may be damaged or of a model that this version of "
            "the engine does not know, or there may be too little memory: try a smaller n_ctx, or a newer xllamacpp."
        )
        self.path = path


class ContextLengthError(LocalModelError, errors.ContextLengthError, ValueError):
    """A prompt is longer than the context.

    Attributes:
        prompt_tokens: Tokens of the prompt; also `requested`.
        n_ctx: Tokens that the context holds, the answer included; also `limit`.
    """

    def __init__(self, prompt_tokens: int, n_ctx: int) -> None:
        super().__init__(
            f"The prompt has {prompt_tokens} tokens, but the context holds {n_ctx}: shorten the conversation (a buffered "
            "or token-limited model context does so by itself) or the text, or load the model with a larger n_ctx."
        )
        self.prompt_tokens = self.requested = prompt_tokens
        self.n_ctx = self.limit = n_ctx


class GenerationError(LocalModelError):
    """The engine refused a request, or broke it off."""
