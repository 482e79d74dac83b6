"""Finding model files, and refusing what is none before native code sees it."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from autogen_ext.models.local import (
    ChecksumError,
    LocalChatCompletionClient,
    LocalEmbedder,
    LocalModelError,
    ModelFileError,
    ModelMissingError,
    NotGgufError,
    _weights,
)
from autogen_ext.models.local._weights import DEFAULT_MODEL, check_sha256, find_weights

from .kit import user

HEADER = b"GGUF\x03\x00\x00\x00" + bytes(16)


def test_the_default_model_is_found_and_has_the_known_checksum() -> None:
    weights = find_weights(None)
    assert weights.sha256 == DEFAULT_MODEL.sha256
    weights.verify()
    assert hashlib.sha256(weights.path.read_bytes()).hexdigest() == DEFAULT_MODEL.sha256


def test_a_default_model_that_is_not_installed_says_in_one_line_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_weights, "DEFAULT_MODEL", replace(DEFAULT_MODEL, module="no_such_package"))
    with pytest.raises(ModelMissingError) as caught:
        LocalChatCompletionClient()
    assert "python -m autogen_ext.models.local install" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, FileNotFoundError)


def test_a_package_without_its_file_counts_as_not_installed() -> None:
    assert replace(DEFAULT_MODEL, file="gone.gguf").find() is None


@pytest.mark.parametrize("make", [LocalChatCompletionClient, LocalEmbedder])
def test_a_path_that_does_not_exist_is_named(
    make: type[LocalChatCompletionClient | LocalEmbedder], tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.gguf") as caught:
        make(tmp_path / "gone.gguf")
    assert isinstance(caught.value, ModelMissingError)
    assert caught.value.path == tmp_path / "gone.gguf"


@pytest.mark.parametrize("content", [b"", b"GGU", b"GGML" + bytes(100), b"PK\x03\x04" + bytes(100), HEADER[:20]])
def test_a_file_of_another_kind_is_refused_at_once(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(NotGgufError, match=r"model\.gguf is no GGUF file") as caught:
        LocalChatCompletionClient(path)
    assert isinstance(caught.value, ModelFileError | ValueError | LocalModelError)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotGgufError, match="it is a folder"):
        find_weights(tmp_path)


async def test_a_file_with_another_checksum_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(HEADER)
    client = LocalChatCompletionClient(path, sha256="0" * 64)
    with pytest.raises(ChecksumError) as caught:
        await client.create([user("Hello!")])
    assert caught.value.expected == "0" * 64
    assert caught.value.actual == hashlib.sha256(HEADER).hexdigest()


def test_a_checksum_is_compared_again_when_the_file_changed(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(HEADER)
    expected = hashlib.sha256(HEADER).hexdigest()
    check_sha256(path, expected)
    check_sha256(path, expected)
    path.write_bytes(HEADER + b"more")
    with pytest.raises(ChecksumError):
        check_sha256(path, expected)


def test_a_checksum_may_be_written_in_capitals(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(HEADER)
    find_weights(path, hashlib.sha256(HEADER).hexdigest().upper()).verify()
