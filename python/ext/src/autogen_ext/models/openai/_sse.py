"""Reads server-sent events of chat completions out of bytes, tolerant of what servers do to them. Stands on nothing.

https://html.spec.whatwg.org/multipage/server-sent-events.html. A chunk is one line here, as in every server's practice; so
the blank lines between events may be missing, and a line that is not JSON loses only itself.
"""

import json
from collections.abc import Iterator
from typing import Any, cast


class EventReader:
    """Takes the bytes of a stream as they come, and gives its JSON values."""

    def __init__(self) -> None:
        self.finished = False
        """The server said that this is the end."""
        self.failed: Any = None
        """What came in an event called `error`."""
        self.unreadable = 0
        """How many lines held no JSON."""
        self._rest = b""
        self._event = b""

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the values that are complete with these bytes."""
        lines = (self._rest + data if self._rest else data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if self.finished:
                return
            if line.startswith(b"data:"):
                yield from self._read(line[5:])
            elif line.startswith(b"event:"):
                self._event = line[6:].strip()

    def end(self) -> Iterator[Any]:
        """Yield the value of a last line that was not ended."""
        rest, self._rest = self._rest, b""
        if rest.startswith(b"data:"):
            yield from self._read(rest[5:])

    def _read(self, text: bytes) -> Iterator[Any]:
        text = text.strip()
        event, self._event = self._event, b""
        if not text:
            return
        if text == b"[DONE]":
            self.finished = True
            return
        try:
            value = json.loads(text)
        except ValueError:
            self.unreadable += 1
            if event == b"error":
                self.failed = text.decode(errors="replace")
            return
        if event == b"error":
            self.failed = cast("dict[str, Any]", value).get("error", value) if isinstance(value, dict) else value
            return
        yield value
