"""The front door: what `import autogen_core` costs, and that its list of names is true."""

import subprocess
import sys

import pytest

import autogen_core

HEAVY = ["pydantic", "google.protobuf", "PIL", "grpc", "openai", "requests", "opentelemetry", "opentelemetry.sdk"]


def test_importing_the_package_loads_nothing_heavy() -> None:
    script = f"import sys, autogen_core; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_in_the_list_is_there() -> None:
    for name in autogen_core.__all__:
        assert getattr(autogen_core, name) is not None
    assert set(autogen_core.__all__) <= set(dir(autogen_core))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        autogen_core.Nothing  # noqa: B018 - asking for it is the test  # pyright: ignore[reportAttributeAccessIssue]


def test_the_package_works_without_protobuf() -> None:
    script = (
        "import sys\n"
        "sys.modules['google.protobuf'] = None\n"
        "import autogen_core, dataclasses\n"
        "@dataclasses.dataclass\n"
        "class M: x: int\n"
        "s, = autogen_core.try_get_known_serializers_for_type(M)\n"
        "assert s.deserialize(s.serialize(M(1))) == M(1)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
