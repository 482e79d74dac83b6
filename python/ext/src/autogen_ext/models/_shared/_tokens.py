"""Counts tokens with tiktoken where its tables can be had, else by an estimate. Never waits long and never raises.

tiktoken fetches its tables over the network on first use. The estimate is one token for four bytes of UTF-8, rounded
up, which is about right for English and too low for text in rare scripts. Stands on tiktoken, which may be missing;
must not know any provider.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any, cast

from autogen_core import TRACE_LOGGER_NAME, Image

from ._tools import ToolSpec

LOAD_TIMEOUT_S = 3.0
"""Seconds that the first count waits for tiktoken's tables. They may arrive later and are used from then on."""

DEFAULT_ENCODING = "cl100k_base"
"""Encoding of models that tiktoken does not know."""

CountText = Callable[[str], int]
"""Returns the number of tokens in a text."""

_logger = logging.getLogger(TRACE_LOGGER_NAME)


class EncodingTable:
    """The token encodings that were loaded, and those that could not be.

    Args:
        load: Returns the counter of an encoding, however long that takes; an exception means that it cannot be had.
        timeout_s: Seconds that a caller waits for a counter. Afterwards it gets the estimate.
    """

    def __init__(self, load: Callable[[str], CountText], timeout_s: float = LOAD_TIMEOUT_S) -> None:
        self._load = load
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._begun: dict[str, threading.Event] = {}
        self._counters: dict[str, CountText] = {}
        self._warned = False

    def counter(self, encoding: str) -> CountText:
        """Return how to count in an encoding. Blocks at most once for each, and then no longer than the timeout."""
        known = self._counters.get(encoding)
        if known is not None:
            return known
        with self._lock:
            first = encoding not in self._begun
            done = self._begun.setdefault(encoding, threading.Event())
            if first:
                # A daemon thread: a blocked download can neither be stopped nor may it keep the program alive.
                threading.Thread(target=self._fetch, args=(encoding, done), daemon=True).start()
        if first:
            done.wait(self._timeout_s)
        return self._counters.get(encoding) or self._estimate_instead(encoding)

    def _fetch(self, encoding: str, done: threading.Event) -> None:
        try:
            self._counters[encoding] = self._load(encoding)
        except Exception as error:  # noqa: BLE001 - whatever it is, there is the estimate; and it is logged
            _logger.debug("tiktoken cannot load %s: %r", encoding, error)
        finally:
            done.set()

    def _estimate_instead(self, encoding: str) -> CountText:
        if not self._warned:
            self._warned = True
            _logger.warning(
                "Tokens are estimated, one for four bytes: tiktoken's table %r is not at hand. Let the program reach "
                "the network once, or set TIKTOKEN_CACHE_DIR to a folder that holds the table.",
                encoding,
            )
        return estimate_tokens


def estimate_tokens(text: str) -> int:
    """Return a rough number of tokens: one for four bytes of UTF-8, rounded up."""
    return (len(text.encode("utf-8", "surrogatepass")) + 3) // 4


def _load_tiktoken(encoding: str) -> CountText:
    import tiktoken

    loaded = tiktoken.get_encoding(encoding)
    return lambda text: len(loaded.encode(text, disallowed_special=()))


_table = EncodingTable(_load_tiktoken)


def token_counter(model: str) -> CountText:
    """Return how to count tokens for a model, by name; an unknown one is counted like `DEFAULT_ENCODING`."""
    try:
        import tiktoken

        encoding = tiktoken.encoding_name_for_model(model)
    except (ImportError, KeyError):
        encoding = DEFAULT_ENCODING
    return _table.counter(encoding)


def count_messages(messages: Sequence[Mapping[str, Any]], count: CountText) -> int:
    """Return the tokens of messages in OpenAI's form: three each, what their fields hold, and three for the reply.

    In place of images there may be parts `{"type": "image", "tokens": n}`, so that no image is encoded to be counted.
    """
    return 3 + sum(_count_message(message, count) for message in messages)


def _count_message(message: Mapping[str, Any], count: CountText) -> int:
    tokens = 3
    for key, value in message.items():
        if key == "name":
            tokens += 1
        if isinstance(value, str):
            tokens += count(value)
        elif key == "content" and isinstance(value, list):
            tokens += sum(_count_part(part, count) for part in cast("list[dict[str, Any]]", value))
        elif value is not None:
            tokens += count(json.dumps(value))
    return tokens


def _count_part(part: Mapping[str, Any], count: CountText) -> int:
    if part.get("type") == "image":
        return int(part["tokens"])
    return count(json.dumps(part))


def count_tools(tools: Sequence[ToolSpec], count: CountText) -> int:
    """Return the tokens that tools take: an approximation, since the provider's own rendering is not public."""
    if not tools:
        return 0
    return 12 + sum(_count_tool(tool, count) for tool in tools)


def _count_tool(tool: ToolSpec, count: CountText) -> int:
    tokens = count(tool.name) + count(tool.description) - 2
    properties: Mapping[str, Mapping[str, Any]] = tool.parameters.get("properties") or {}
    for name, schema in properties.items():
        tokens += count(name) + sum(_count_keyword(key, value, count) for key, value in schema.items())
    return tokens + (11 if properties else 0)


def _count_keyword(key: str, value: Any, count: CountText) -> int:
    if key in ("enum", "anyOf") and isinstance(value, list):
        options = cast("list[Any]", value)
        return -3 + sum(3 + count(_option_text(option)) for option in options)
    return 2 + count(value if isinstance(value, str) else json.dumps(value))


def _option_text(option: Any) -> str:
    if isinstance(option, dict):
        return str(cast("dict[str, Any]", option).get("type", "any"))
    return str(option)


def image_tokens(image: Image) -> int:
    """Return the tokens of an image by OpenAI's rule for high detail: 85, and 170 for each tile of 512 pixels.

    Before it is cut into tiles it is scaled to fit 2048 by 2048 pixels, then to a short side of at most 768.
    """
    width, height = image.image.size
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    across, down = (ceil(side * scale / 512 - 1e-9) for side in (width, height))
    return 85 + 170 * across * down
