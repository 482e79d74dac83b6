"""Stands in for the package `llama_cpp`, which has to be compiled: the part of its public API that the client uses.

https://llama-cpp-python.readthedocs.io/en/latest/api-reference/. It yields chunks that a test queued, one for each word, asks
the logits processors before each as the library does, and remembers what it was called with. `test_real_model.py` runs the
client on the library itself, where that is installed.
"""

import threading
from collections import deque
from collections.abc import Iterator
from types import ModuleType
from typing import Any

Json = Any


class Llama:
    """A model that says what it was told to say."""

    made: list["Llama"] = []

    def __init__(
        self, model_path: str, *, n_ctx: int = 512, chat_format: str | None = None, verbose: bool = True, **others: Any
    ) -> None:
        self.arguments: dict[str, Any] = {"model_path": model_path, "n_ctx": n_ctx, "verbose": verbose, **others}
        self.chat_format = chat_format or "chat_template.default"
        self.metadata: dict[str, str] = {"tokenizer.chat_template": "{% for message in messages %}...{% endfor %}"}
        self.calls: list[dict[str, Any]] = []
        self.replies: deque[Any] = deque()
        self.yielded = 0
        self.go_on = threading.Event()
        """Cleared, it makes the model wait after its first word."""
        self.go_on.set()
        self.spoke = threading.Event()
        """Set with its first word."""
        self.closed = False
        Llama.made.append(self)

    @classmethod
    def from_pretrained(cls, repo_id: str, filename: str | None, **others: Any) -> "Llama":
        return cls(f"{repo_id}/{filename}", **others)

    def create_chat_completion(
        self,
        messages: list[Json],
        tools: list[Json] | None = None,
        tool_choice: Json = None,
        temperature: float = 0.2,
        stream: bool = False,
        stop: Json = None,
        seed: int | None = None,
        response_format: Json = None,
        max_tokens: int | None = None,
        logits_processor: list[Any] | None = None,
    ) -> Iterator[Json]:
        given = {"tools": tools, "tool_choice": tool_choice, "response_format": response_format, "seed": seed}
        self.calls.append({"messages": messages, "stream": stream, **{k: v for k, v in given.items() if v is not None}})
        reply = self.replies.popleft()
        if isinstance(reply, Exception):
            raise reply
        return self._stream(reply, len(str(messages)), logits_processor or [])

    def _stream(self, reply: Json, prompt_tokens: int, processors: list[Any]) -> Iterator[Json]:
        deltas: list[Json] = [{"content": word} for word in reply] if isinstance(reply[0], str) else reply
        yield _chunk({"role": "assistant"})
        for place, delta in enumerate(deltas):
            for processor in processors:
                processor(list(range(prompt_tokens + place)), [0.0])
            self.yielded += 1
            self.spoke.set()
            yield _chunk(delta)
            self.go_on.wait(10)
        yield _chunk({}, "stop")

    def tokenize(self, text: bytes, add_bos: bool = True, special: bool = False) -> list[int]:
        return list(range(len(text.split()) + add_bos))

    def n_ctx(self) -> int:
        return self.arguments["n_ctx"]

    def close(self) -> None:
        self.closed = True


def _chunk(delta: Json, finish: str | None = None) -> Json:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
    }


def module() -> ModuleType:
    """The package."""
    made: Any = ModuleType("llama_cpp")
    made.Llama = Llama
    made.LogitsProcessorList = list
    return made
