import builtins

import pytest

from autogen_core import AgentId
from autogen_core.exceptions import RemoteError, UndeliverableException
from autogen_ext.runtimes._shared.errors import describe, revive, type_name

AGENT = AgentId("a", "k")


def cross(error: BaseException) -> Exception:
    metadata: dict[str, str] = {}
    text = describe(error, metadata)
    assert text
    return revive(text, metadata, AGENT, "id")


def test_an_error_keeps_its_type_text_and_traceback() -> None:
    with pytest.raises(KeyError) as raised:
        {}["boom"]
    there = cross(raised.value)
    assert isinstance(there, RemoteError)
    assert isinstance(there, KeyError)
    assert there.type_name == "builtins.KeyError"
    assert str(there) == "KeyError: 'boom'"
    assert '{}["boom"]' in there.traceback
    assert there.recipient == AGENT
    assert '{}["boom"]' in there.__notes__[0]


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in vars(builtins).values()
        if isinstance(kind, type) and issubclass(kind, BaseException) and kind.__name__ != "BaseExceptionGroup"
    ],
)
def test_each_error_of_python_crosses(kind: type[BaseException]) -> None:
    several: dict[type[BaseException], tuple[object, ...]] = {
        UnicodeDecodeError: ("utf-8", b"x", 0, 1, "bad"),
        UnicodeEncodeError: ("utf-8", "x", 0, 1, "bad"),
        UnicodeTranslateError: ("x", 0, 1, "bad"),
        ExceptionGroup: ("several", [ValueError("one")]),
    }
    there = cross(kind(*several.get(kind, ("text",))))
    assert isinstance(there, RemoteError)
    assert kind.__name__ in there.type_name or kind in {IOError, EnvironmentError}


def test_an_error_of_a_runtime_arrives_as_itself() -> None:
    there = cross(UndeliverableException.unknown_recipient(AGENT, {"b"}))
    assert type(there) is UndeliverableException
    assert there.recipient == AGENT


def test_an_error_without_a_text_still_is_one() -> None:
    """An empty text would be a success for a caller of 0.7.5."""
    metadata: dict[str, str] = {}
    assert describe(ValueError(), metadata) == "ValueError"
    assert str(revive("ValueError", metadata, AGENT, "id")) == "ValueError: "


def test_an_error_that_cannot_be_shown_still_is_one() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "Broken" in str(cross(Broken()))


def test_an_error_of_the_reference_has_its_text_only() -> None:
    there = revive("'boom'", {}, AGENT, "id")
    assert type(there) is RemoteError
    assert str(there) == "'boom'"


def test_an_error_that_crosses_twice_keeps_its_first_type() -> None:
    assert type_name(cross(cross(KeyError("x")))) == "builtins.KeyError"


def test_a_long_text_is_shortened() -> None:
    there = cross(ValueError("x" * 1_000_000))
    assert len(str(there)) < 10_000
