"""Reading arguments and the files they name."""

import argparse
import json
from pathlib import Path

import pytest

from autogen_ext.runtimes._cli.errors import UsageError
from autogen_ext.runtimes._cli.health import Address
from autogen_ext.runtimes._cli.values import address, count, port, rights, seconds, secret


def test_addresses_are_read() -> None:
    assert address("0.0.0.0:8080") == Address("0.0.0.0", 8080)
    assert address("[::]:0") == Address("::", 0)
    for wrong in ("8080", ":8080", "host", "host:port", "host:70000", "host:1/x", "me@host:1", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="HOST:PORT"):
            address(wrong)


def test_numbers_are_read() -> None:
    assert (port("0"), port("4222"), seconds("0.5"), count("16000000")) == (0, 4222, 0.5, 16_000_000)
    for read, wrong in (
        (port, "65536"),
        (port, "-1"),
        (seconds, "-1"),
        (seconds, "nan"),
        (seconds, "inf"),
        (count, "0"),
    ):
        with pytest.raises(argparse.ArgumentTypeError):
            read(wrong)


def test_a_secret_comes_from_its_file_or_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUR_TOKEN", "from the environment")
    assert secret(None, "OUR_TOKEN", "token") == "from the environment"
    file = tmp_path / "token"
    file.write_text("from the file\n")
    assert secret(str(file), "OUR_TOKEN", "token") == "from the file"
    monkeypatch.setenv("OUR_TOKEN", "")
    assert secret(None, "OUR_TOKEN", "token") is None
    for wrong in (b" \n", b"\xff\xfe"):
        file.write_bytes(wrong)
        with pytest.raises(UsageError, match="file of the token"):
            secret(str(file), "OUR_TOKEN", "token")


def test_rights_are_read_from_json_and_from_toml(tmp_path: Path) -> None:
    expected = {"secret": {"register": ("shop-*",), "publish": ()}, "all": {}}
    as_json, as_toml = tmp_path / "tokens", tmp_path / "tokens.toml"
    as_json.write_text(json.dumps({"secret": {"register": ["shop-*"], "publish": []}, "all": {}}))
    as_toml.write_text('[secret]\nregister = ["shop-*"]\npublish = []\n[all]\n')
    assert rights(str(as_json), "tokens") == rights(str(as_toml), "tokens") == expected
    assert rights(None, "tokens") is None


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("tokens", '{"hunter2": ', "no JSON, line 1"),
        ("tokens.toml", "[hunter2", "no TOML"),
        ("tokens", "[]", "no object at its top"),
        ("tokens", '{"a": {}, "hunter2": []}', "Entry 2 .* is wrong"),
        ("tokens", '{"hunter2": {"registr": ["hunter2"]}}', "Entry 1 .* at registr"),
        ("tokens", '{"hunter2": {"register": "hunter2"}}', "Entry 1 .* at register"),
        ("tokens", '{"hunter2": {"register": [1]}}', "at register.0"),
    ],
)
def test_what_is_wrong_with_rights_is_said_without_a_token(tmp_path: Path, name: str, content: str, text: str) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(UsageError, match=text) as caught:
        rights(str(file), "tokens")
    assert "hunter2" not in str(caught.value)
