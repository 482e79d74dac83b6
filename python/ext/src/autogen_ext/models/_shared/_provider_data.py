"""Keeps what a provider sent beside the contract's fields and wants back unchanged. Stands on the model contract.

It rides on function calls and messages (`provider_data`), is saved with them, and goes only where it came from: another
protocol or server would refuse it. Must not know what any provider sends.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from autogen_core import FunctionCall
from autogen_core.models import AssistantMessage

Fields = dict[str, Any]


def pack(protocol: str, server: str, **fields: Fields) -> dict[str, Any] | None:
    """Return the `provider_data` that holds these fields; `None` if there are none.

    Args:
        protocol: The protocol's name, such as `openai`.
        server: The host that sent them.
        fields: Where they stood (`message`, `call`, ...), and what was sent. JSON.
    """
    kept = {place: value for place, value in fields.items() if value}
    return {protocol: {"server": server, **kept}} if kept else None


def unpack(data: object, protocol: str, server: str, place: str) -> Fields:
    """Return the fields that `pack` put away, if they came from this server; tolerates anything."""
    packed = _mapping(_mapping(data).get(protocol))
    return dict(_mapping(packed.get(place))) if packed.get("server") == server else {}


def attach(call: FunctionCall, data: Mapping[str, Any] | None) -> None:
    """Let a call carry provider data, beside what it carries already."""
    if data:
        merged: dict[str, Any] = dict(call.provider_data or {})
        for protocol, packed in data.items():
            merged[protocol] = {**_mapping(merged.get(protocol)), **packed}
        vars(call)["provider_data"] = merged


def attach_to_first(calls: Sequence[FunctionCall], data: Mapping[str, Any] | None) -> None:
    """Let the first call carry what belongs to the whole message, since agents of before pass on nothing but the calls."""
    if calls:
        attach(calls[0], data)


def message_fields(message: AssistantMessage, protocol: str, server: str) -> Fields:
    """Return the fields of a whole message, wherever they ride."""
    fields = unpack(message.provider_data, protocol, server, "message")
    if not fields and isinstance(message.content, list) and message.content:
        fields = unpack(message.content[0].provider_data, protocol, server, "message")
    return fields


def merge_fragments(whole: Fields, part: Mapping[str, Any]) -> None:
    """Add a fragment of a stream to fields: texts go on, lists grow, entries of one `index` become one."""
    for key, value in part.items():
        whole[key] = _joined(key, whole.get(key), value)


_LABELS = frozenset({"type", "id", "format", "name", "role", "index"})
"""Keys whose text is repeated with each fragment and does not go on."""


def _joined(key: str, old: Any, new: Any) -> Any:
    if old is None or new is None:
        return new if old is None else old
    if isinstance(old, str) and isinstance(new, str):
        return new if key in _LABELS else old + new
    if isinstance(old, dict) and isinstance(new, dict):
        merged: Fields = dict(cast("Fields", old))
        merge_fragments(merged, cast("Fields", new))
        return merged
    if isinstance(old, list) and isinstance(new, list):
        return _joined_lists(cast("list[Any]", old), cast("list[Any]", new))
    return new


def _joined_lists(old: list[Any], new: list[Any]) -> list[Any]:
    items = list(old)
    for item in new:
        index = _mapping(item).get("index")
        same = [
            place for place, other in enumerate(items) if index is not None and _mapping(other).get("index") == index
        ]
        if same and _mapping(items[same[-1]]).get("type") == _mapping(item).get("type"):
            items[same[-1]] = _joined("", items[same[-1]], item)
        else:
            items.append(item)
    return items


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
