"""Embeddings by the default model."""

import math

import pytest

from autogen_ext.models.local import ContextLengthError, GenerationError, LocalEmbedder


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_each_text_has_a_vector_of_length_one() -> None:
    embedder = LocalEmbedder()
    texts = [f"Text number {number}." for number in range(10)]
    vectors = await embedder.embed(texts)
    assert len(vectors) == 10
    assert {len(vector) for vector in vectors} == {576}
    assert all(math.isclose(dot(vector, vector), 1.0, rel_tol=1e-4) for vector in vectors)
    [alone] = await embedder.embed(texts[7:8])
    assert dot(alone, vectors[7]) > 0.999
    await embedder.close()


async def test_like_texts_are_closer_than_unlike_ones() -> None:
    embedder = LocalEmbedder()
    cat, kitten, law = await embedder.embed(
        ["The cat sleeps on the sofa.", "A cat is sleeping on a couch.", "The court dismissed the appeal."]
    )
    assert dot(cat, kitten) > dot(cat, law)


async def test_texts_that_cannot_be_embedded_are_errors() -> None:
    embedder = LocalEmbedder()
    assert await embedder.embed([]) == []
    with pytest.raises(GenerationError, match="empty"):
        await embedder.embed([""])
    with pytest.raises(ContextLengthError):
        await embedder.embed(["word " * 3000])
