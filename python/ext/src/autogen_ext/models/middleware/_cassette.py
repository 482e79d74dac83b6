"""Records the calls of a program, and replays them offline. Stands on the cassette's file; knows no provider."""

from collections import deque
from copy import copy
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias, cast

from pydantic import BaseModel

from autogen_core import Component, ComponentModel
from autogen_core.models import ChatCompletionClient, CreateResult

from ._base import Items, ModelCall, ModelMiddleware
from ._errors import CassetteMismatchError
from ._request import request_data
from ._tape import Recording, Tape, key_of

_UNRECORDED = ("extra_headers", "extra_query")
"""Extra arguments that are not written down: they may hold keys, and do not change what is asked."""

CassetteMode: TypeAlias = Literal["auto", "record", "replay"]


class CassetteConfig(BaseModel):
    """A `CassetteClient` as data."""

    client: ComponentModel
    path: str
    mode: CassetteMode = "auto"


class CassetteClient(ModelMiddleware, Component[CassetteConfig]):
    """Writes each call and what came of it into a file, or answers from such a file without asking anybody.

    Replayed, a program gets the same pieces, results and typed errors, and no call reaches the wrapped client, which then
    only says what the model can do. A call is found by what it asks; calls that ask the same get their answers in the
    order of recording, so agents that run at the same time may come in any order. The file holds conversations in
    plain text, and none of the client's settings.

    Args:
        client: Whom calls are passed to while recording.
        path: The file. Recording begins it anew with the first call. Clients that were made to record into the same file,
            such as those of a team's agents, share it until one is closed; with `auto`, make all before the first call.
        mode: `record`, `replay`, or `auto`, which replays if the file exists.

    Raises:
        FileNotFoundError: There is nothing to replay.
        ValueError: The file is no cassette.

    Replayed calls raise `CassetteMismatchError` for what was not recorded, and where a recorded call ended because the
    program no longer waited for it.
    """

    component_config_schema = CassetteConfig
    component_provider_override = "autogen_ext.models.middleware.CassetteClient"

    def __init__(self, client: ChatCompletionClient, path: str | Path, *, mode: CassetteMode = "auto") -> None:
        super().__init__(client)
        self._mode: CassetteMode = mode
        self._recordings: dict[str, deque[Recording]] | None = None
        others = None if mode == "replay" else Tape.recorded_now(Path(path))
        if others is not None and (mode == "record" or not others.is_begun):
            self._tape = others
            return
        self._tape = Tape(Path(path))
        if mode == "replay" or (mode == "auto" and self._tape.path.exists()):
            self._recordings = self._tape.read()
        else:
            self._tape.share()

    @property
    def is_replaying(self) -> bool:
        """Whether calls are answered from the file."""
        return self._recordings is not None

    @property
    def unused(self) -> int:
        """How many recorded calls were not replayed yet."""
        return sum(len(queue) for queue in (self._recordings or {}).values())

    async def close(self) -> None:
        """End the recording, and close the wrapped client."""
        self._tape.unshare()
        await self.client.close()

    async def _create(self, call: ModelCall) -> CreateResult:
        request = _asked(call)
        if self.is_replaying:
            recording = self._next(request, streamed=False)
            if recording.ending != "complete":
                raise self._end(recording)
            return _result(recording)
        recording = Recording(request, streamed=False, items=[], ending="left")
        try:
            result = await call.create(self.client)
            recording.items.append(result)
            recording.ending = "complete"
        except Exception as error:
            recording.ending, recording.error = "error", error
            raise
        finally:
            self._write(recording)
        return result

    async def _stream(self, call: ModelCall) -> Items:
        request = _asked(call)
        if self.is_replaying:
            recording = self._next(request, streamed=True)
            for item in recording.items:
                yield item.model_copy(deep=True) if isinstance(item, CreateResult) else item
            if recording.ending != "complete":
                raise self._end(recording)
            return
        recording = Recording(request, streamed=True, items=[], ending="left")
        try:
            async with call.stream(self.client) as items:
                async for item in items:
                    recording.items.append(item)
                    if isinstance(item, CreateResult):
                        recording.ending = "complete"
                        self._write(recording)  # readers may leave a finished stream open for long
                    yield item
        except Exception as error:
            if recording.ending != "complete":
                recording.ending, recording.error = "error", error
            raise
        finally:
            if recording.ending != "complete":
                self._write(recording)

    def _next(self, request: dict[str, Any], *, streamed: bool) -> Recording:
        """Take the next recorded call that asks the same."""
        recordings = self._recordings or {}
        queue = recordings.get(key_of(request, streamed=streamed))
        if queue:
            return queue.popleft()
        if queue is not None:
            problem = "The program asks this more often than it was recorded."
        elif key_of(request, streamed=not streamed) in recordings:
            problem = f"This call is {'' if streamed else 'not '}streamed, and was recorded otherwise."
        else:
            problem = f"This call was not recorded; {self.unused} others are left."
        last = str(request["messages"][-1])[:200] if request["messages"] else "no messages"
        raise CassetteMismatchError(self._tape.path, f"{problem} It ends with {last}.")

    def _end(self, recording: Recording) -> Exception:
        """Return what a call ends with that did not end with its answer."""
        if recording.error is not None:
            return copy(recording.error)
        return CassetteMismatchError(
            self._tape.path, "When this was recorded, the program did not wait for the rest of the answer."
        )

    def _write(self, recording: Recording) -> None:
        self._tape.append(recording)

    def _to_config(self) -> CassetteConfig:
        return CassetteConfig(client=self.client.dump_component(), path=str(self._tape.path), mode=self._mode)

    @classmethod
    def _from_config(cls, config: CassetteConfig) -> Self:
        return cls(ChatCompletionClient.load_component(config.client), config.path, mode=config.mode)


def _asked(call: ModelCall) -> dict[str, Any]:
    request = request_data(call)
    extra = request["extra_create_args"]
    request["extra_create_args"] = {name: value for name, value in extra.items() if name not in _UNRECORDED}
    return request


def _result(recording: Recording) -> CreateResult:
    return cast("CreateResult", recording.items[-1]).model_copy(deep=True)
