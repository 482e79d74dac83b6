"""A model client that checks a program step by step against a recorded session. Stands on the middleware's base.

Unlike `CassetteClient`, which finds answers by what is asked, it wants the same calls in the same order, and keeps a whole
session in one JSON file.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from autogen_core.models import ChatCompletionClient, CreateResult
from autogen_ext.models.middleware import Items, ModelCall, ModelMiddleware


class RecordDict(TypedDict):
    """One call of a session: what was asked, and the answer, whole or in pieces."""

    mode: Literal["create", "create_stream"]
    messages: list[Mapping[str, Any]]
    response: dict[str, Any]
    """The result, also of a streamed call."""
    stream: list[Mapping[str, Any]]
    """The pieces of a streamed call before its result, each as `{"content": TEXT}`."""


class SessionLogger(Protocol):
    """What the recorder needs of a logger, such as a `PageLogger`."""

    def info(self, line: str) -> None:
        """Note something."""
        ...

    def error(self, line: str) -> None:
        """Note that something is wrong."""
        ...


_Mode: TypeAlias = Literal["create", "create_stream"]


class ChatCompletionClientRecorder(ModelMiddleware):
    """Records a session with a model, or replays one and checks that the program asks the same in the same order.

    Recording, calls go to the client, and `finalize` writes the file. Replaying, calls are answered from the file, and
    `finalize` checks that all of it was used. Messages are compared; tools and other arguments are not.

    Args:
        client: Whom calls are passed to while recording.
        mode: `record` or `replay`.
        session_file_path: The file, a list of `RecordDict` as JSON.
        logger: Hears about each call.

    Raises:
        ValueError: The file to replay cannot be read, or is no session.
    """

    def __init__(
        self,
        client: ChatCompletionClient,
        mode: Literal["record", "replay"],
        session_file_path: str,
        logger: SessionLogger | None = None,
    ) -> None:
        if mode not in ("record", "replay"):
            raise ValueError(f"mode must be 'record' or 'replay', got {mode!r}.")
        super().__init__(client)
        self.mode = mode
        self.session_file_path = session_file_path
        self.logger = logger
        self.records: list[RecordDict] = _read(Path(session_file_path)) if mode == "replay" else []
        self._next = 0

    @property
    def base_client(self) -> ChatCompletionClient:
        """The wrapped client."""
        return self.client

    def finalize(self) -> None:
        """End the session: write what was recorded, or check that all was replayed.

        Raises:
            ValueError: Recorded calls are left that the program did not make.
            OSError: The file cannot be written.
        """
        if self.mode == "record":
            path = Path(self.session_file_path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(self.records, indent=2), encoding="utf-8")
            self._say(f"Recorded {len(self.records)} calls.")
        elif self._next < len(self.records):
            raise self._wrong(f"Early end: only {self._next} of the {len(self.records)} recorded calls were made.")
        else:
            self._say("All recorded calls were made.")

    async def _create(self, call: ModelCall) -> CreateResult:
        if self.mode == "replay":
            return CreateResult.model_validate(self._expected(call, "create")["response"])
        result = await call.create(self.client)
        self._record(call, "create", [], result)
        return result

    async def _stream(self, call: ModelCall) -> Items:
        if self.mode == "replay":
            record = self._expected(call, "create_stream")
            for piece in record["stream"]:
                yield str(piece["content"])
            yield CreateResult.model_validate(record["response"])
            return
        pieces: list[Mapping[str, Any]] = []
        async with call.stream(self.client) as items:
            async for item in items:
                if isinstance(item, CreateResult):
                    self._record(call, "create_stream", pieces, item)
                else:
                    pieces.append({"content": item})
                yield item

    def _record(self, call: ModelCall, mode: _Mode, pieces: list[Mapping[str, Any]], result: CreateResult) -> None:
        self.records.append(
            RecordDict(mode=mode, messages=_messages(call), response=result.model_dump(mode="json"), stream=pieces)
        )
        self._say(f"Recorded call {len(self.records)}.")

    def _expected(self, call: ModelCall, mode: _Mode) -> RecordDict:
        """Take the next recorded call, which must be this one."""
        if self._next >= len(self.records):
            raise self._wrong(f"No more recorded turns to check: all {len(self.records)} were used.")
        record, number = self.records[self._next], self._next + 1
        if record["mode"] != mode:
            raise self._wrong(f"Call {number} was recorded as {record['mode']}, and is now {mode}.")
        now, then = _messages(call), record["messages"]
        if now != then:
            place = next((i for i, pair in enumerate(zip(now, then, strict=False)) if pair[0] != pair[1]), None)
            where = f"from message {place + 1} on" if place is not None else f"{len(now)} now, {len(then)} then"
            raise self._wrong(
                f"Current message list doesn't match the recorded message list of call {number}: {where}."
            )
        self._next = number
        self._say(f"Call {number} is as recorded.")
        return record

    def _say(self, line: str) -> None:
        if self.logger is not None:
            self.logger.info(line)

    def _wrong(self, problem: str) -> ValueError:
        if self.logger is not None:
            self.logger.error(problem)
        return ValueError(f"Session {Path(self.session_file_path).name!r}: {problem}")


def _messages(call: ModelCall) -> list[Mapping[str, Any]]:
    return [message.model_dump(mode="json") for message in call.messages]


def _read(path: Path) -> list[RecordDict]:
    try:
        return TypeAdapter(list[RecordDict]).validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"Failed to load recorded session {path.name!r}: {error}") from error
