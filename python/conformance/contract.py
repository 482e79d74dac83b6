"""The frozen contract: the public names of AutoGen 0.7.5 as records, and our list of what differs from it.

Stands on pydantic. The data files were generated once from the public surface of the 0.7.5 packages; they are facts
(names, parameters, defaults, fields), and they never change. `gaps.toml` is what changes: what is not built yet, and
what differs on purpose. Knows nothing of how names are compared.
"""

import json
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

HERE = Path(__file__).parent
DATA = HERE / "data"

TEXT = "<text>"
"""A default that is prose or longer than fits: any text of ours will do."""
ANY = "<any>"
"""A default that is made anew for each call or differs between machines."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ParameterRecord(_Record):
    """A parameter: `kind` is "/", "" (by place or name), "*", "kw" or "**"; `default` is Python text."""

    name: str
    kind: Literal["/", "", "*", "kw", "**"] = ""
    default: str | None = None


class Symbol(_Record):
    """A public name, or a member of a class, with what users of 0.7.5 may rely on."""

    form: Literal[
        "class", "function", "constant", "message", "reexport", "field", "member", "attr", "property", "instance"
    ]
    marks: frozenset[str] = frozenset()
    bases: tuple[str, ...] = ()
    inherited: tuple[str, ...] = ()
    members: "dict[str, Symbol]" = {}
    signatures: tuple[tuple[ParameterRecord, ...], ...] = ()
    returns: str = ""
    required: bool = False
    default: str | None = None
    literals: tuple[str | int | bool | None, ...] = ()
    settable: bool = False
    target: str = ""


class ComponentRecord(_Record):
    """A configurable component: how a saved configuration names it, and its fields."""

    component_type: str | None
    component_version: int
    provider: str
    loadable: bool
    dumpable: bool
    required: tuple[str, ...]
    fields: dict[str, dict[str, object]]


class ComponentContract(_Record):
    """All components, and the short names that a configuration may use instead of a provider."""

    aliases: dict[str, str]
    components: dict[str, ComponentRecord]


class Gaps(_Record):
    """What differs from the contract: not built yet, or different on purpose with the reason."""

    pending: tuple[str, ...]
    deliberate: dict[str, str]
    own_extras: dict[str, str]


Modules = dict[str, dict[str, Symbol]]
_MODULES = TypeAdapter(Modules)


def public_names() -> Modules:
    """The public modules, each with the names it exports."""
    return _MODULES.validate_json((DATA / "public_names.json").read_bytes())


def config_models() -> Modules:
    """By package, the classes that users meet in saved configurations; their module is not part of the contract."""
    return _MODULES.validate_json((DATA / "config_models.json").read_bytes())


def components() -> ComponentContract:
    """Everything that can be saved to and loaded from a configuration."""
    return ComponentContract.model_validate_json((DATA / "components.json").read_bytes())


def extras() -> frozenset[str]:
    """The extras of `autogen-ext`."""
    return frozenset(TypeAdapter(list[str]).validate_python(json.loads((DATA / "extras.json").read_bytes())))


def gaps() -> Gaps:
    """What differs from the contract today."""
    return Gaps.model_validate(tomllib.loads((HERE / "gaps.toml").read_text(encoding="utf-8")))
