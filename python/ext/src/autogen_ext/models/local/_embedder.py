"""Embeddings by the same model file, as means over the tokens of a text. Stands on `_pool`; knows no vector store."""

import weakref
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ._engine import EngineSettings
from ._errors import EngineMissingError
from ._pool import EngineLease, default_threads
from ._weights import find_weights

_TEXTS_AT_ONCE = 8
"""Between two portions other requests get their turn, and a cancelled one ends."""


class LocalEmbedder:
    """Turns texts into vectors with a model inside this process.

    Any chat model does, and the default one is small: it finds texts about the same thing, roughly. A model made for
    embeddings, given as `model`, does better.

    Args:
        model: Path of a GGUF file; by default the default local model.
        n_ctx: Tokens that a text may have; at most 2,048.
        n_threads: Threads that compute; by default one less than there are cores.
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
        n_ctx: int = 2048,
        n_threads: int | None = None,
        sha256: str | None = None,
    ) -> None:
        if find_spec("xllamacpp") is None:
            raise EngineMissingError("xllamacpp")
        weights = find_weights(model, sha256)
        settings = EngineSettings(weights.path, n_ctx, n_threads or default_threads(), slots=1, embedding=True)
        self._lease = EngineLease(weights, settings)
        weakref.finalize(self, self._lease.release).atexit = False

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one vector of length 1 for each text, in their order.

        Raises:
            ContextLengthError: A text is too long.
            GenerationError: A text is empty.
        """
        vectors, _ = await self.embed_counting(texts)
        return vectors

    async def embed_counting(self, texts: Sequence[str]) -> tuple[list[list[float]], int]:
        """Return the vectors as `embed` does, and how many tokens the texts have together."""
        engine = await self._lease.engine()
        vectors: list[list[float]] = []
        tokens = 0
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            answer = await engine.embed(texts[start : start + _TEXTS_AT_ONCE])
            vectors += [item["embedding"] for item in sorted(answer["data"], key=lambda item: item["index"])]
            tokens += answer["usage"]["prompt_tokens"]
        return vectors, tokens

    async def close(self) -> None:
        """Give the model back."""
        self._lease.release()
