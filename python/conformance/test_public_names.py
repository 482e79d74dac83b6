"""The public names of the installed packages are those of the frozen contract, save the listed gaps."""

from collections.abc import Iterable, Iterator

import pytest
from comparison import Comparison, parameter_problems
from contract import Gaps, ParameterRecord, Symbol, config_models, gaps, public_names
from finding import load, signature_of


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    """Path and text of everything that differs from the contract today."""
    return Comparison(public_names(), config_models()).gaps


@pytest.fixture(scope="module")
def listed() -> Gaps:
    return gaps()


def test_every_difference_from_the_contract_is_listed(found: dict[str, str], listed: Gaps) -> None:
    """A name that users of 0.7.5 have is here, with the same parameters, fields and defaults."""
    allowed = {*listed.pending, *listed.deliberate}
    unlisted = [f"{path}: {text}" for path, text in found.items() if path not in allowed]
    assert not unlisted, "differs from the contract:\n" + "\n".join(unlisted)


def test_what_is_built_is_no_longer_pending(found: dict[str, str], listed: Gaps) -> None:
    """The list of gaps only gets shorter: what matches the contract leaves it."""
    built = [path for path in (*listed.pending, *listed.deliberate) if path not in found and "#" not in path]
    assert not built, "matches the contract now; remove from gaps.toml:\n" + "\n".join(built)


def test_the_list_of_gaps_is_sorted_and_says_each_once(listed: Gaps) -> None:
    assert list(listed.pending) == sorted(set(listed.pending))
    assert not {*listed.pending} & {*listed.deliberate}


def front_door_problems(path: str, exported: Iterable[str]) -> Iterator[str]:
    module = load(path)
    names: list[str] | None = getattr(module, "__all__", None)
    if isinstance(module, str) or names is None:
        return
    if len(names) != len(set(names)):
        yield f"{path}: __all__ says a name twice"
    yield from (f"{path}: {name} is in __all__ and does not exist" for name in names if not hasattr(module, name))
    hidden = {name for name in exported if hasattr(module, name) and not name.startswith("__")} - set(names)
    yield from (f"{path}: {name} is not in __all__" for name in sorted(hidden))


def test_a_front_door_is_a_list_of_what_is_there() -> None:
    """`__all__` names each thing once, holds what the contract exports, and everything in it exists; lint sorts it."""
    problems = [text for path, names in public_names().items() for text in front_door_problems(path, names)]
    assert not problems, "\n".join(problems)


def test_a_missing_parameter_and_a_changed_default_are_noticed() -> None:
    """The comparison itself: what it would say of a function that lost a parameter and changed a default."""

    def ours(first: int, second: int = 2) -> int:
        return first + second

    recorded = [ParameterRecord(name="first"), ParameterRecord(name="second", default="3"), ParameterRecord(name="x")]
    problems = list(parameter_problems(recorded, list(signature_of(ours).parameters.values())))
    assert problems == ["parameter second defaults to 2, not 3", "parameter x missing"]


def test_a_missing_module_and_a_missing_name_are_noticed() -> None:
    names = {
        "autogen_core": {"NoSuchName": Symbol(form="class"), "__version__": Symbol(form="constant", default="'0.7.5'")},
        "autogen_core.no_such_module": {"Name": Symbol(form="constant")},
    }
    found = Comparison(names, {}).gaps
    assert set(found) == {"autogen_core.NoSuchName", "autogen_core.no_such_module"}
