"""The cases of the OpenAI client. Runs with any release: it uses public names of 0.7.5 only, and prints one JSON object.

    python benchmarks/models.py [CASE ...]

Each figure is microseconds for one operation, the best of several repetitions within the process. The server is a process of
its own on the loopback that answers every request with the same bytes. The two floors post the same JSON with aiohttp, which
must be installed for them, and read the answer's JSON.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

CHUNKS = 1000
TOOLS = 20

Call = Callable[[], Awaitable[object]]


def _frame(delta: dict[str, Any], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
    head = {"id": "cmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "canned"}
    data = f"data: {json.dumps({**head, 'choices': [choice]})}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def _answers() -> tuple[bytes, bytes]:
    """Return the canned replies: a whole one, and a stream."""
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "logprobs": None,
        "message": {"role": "assistant", "content": "Hello"},
    }
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    head = {"id": "cmpl-1", "object": "chat.completion", "created": 1, "model": "canned"}
    body = json.dumps({**head, "choices": [choice], "usage": usage}).encode()
    whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    frames = [
        _frame({"role": "assistant", "content": ""}),
        *[_frame({"content": "word "})] * CHUNKS,
        _frame({}, "stop"),
    ]
    done = b"data: [DONE]\n\n"
    stream = b"".join(
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
            *frames,
            b"%x\r\n%b\r\n" % (len(done), done),
            b"0\r\n\r\n",
        )
    )
    return whole, stream


class Canned(asyncio.Protocol):
    """Answers every request on a connection."""

    whole, stream = _answers()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = bytearray()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, _ = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self._received) >= len(head) + 4 + length:
            streamed = b'"stream":true' in self._received or b'"stream": true' in self._received
            self._received.clear()
            self._transport.write(self.stream if streamed else self.whole)


async def serve() -> None:
    """Print the port, and answer until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def canned_server() -> Generator[str]:
    """Run the server in a process of its own; yield its address."""
    with subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.kill()


@asynccontextmanager
async def _client() -> AsyncGenerator[Any]:
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    with canned_server() as address:
        client = OpenAIChatCompletionClient(model="gpt-4o", api_key="of the benchmark", base_url=address)
        yield client
        await client.close()


async def _timed(call: Call, count: int) -> float:
    await call()
    best = float("inf")
    for _ in range(5):
        begin = time.perf_counter()
        for _ in range(count):
            await call()
        best = min(best, time.perf_counter() - begin)
    return best / count * 1e6


def _texts(count: int) -> list[str]:
    return [f"Message {number}, with some words in it, about as long as people write." for number in range(count)]


def _conversation(count: int) -> list[Any]:
    from autogen_core.models import UserMessage

    return [UserMessage(content=text, source="user") for text in _texts(count)]


async def call_of(count: int, repetitions: int) -> float:
    """Ask with so many messages of history, the same at each call but for the last."""
    async with _client() as client:
        messages = _conversation(count)
        return await _timed(lambda: client.create(messages), repetitions)


async def floor_of(count: int, repetitions: int) -> float:
    """Post the same JSON, ready-made."""
    import aiohttp

    messages = [{"role": "user", "content": text, "name": "user"} for text in _texts(count)]
    body = json.dumps({"messages": messages, "model": "gpt-4o", "stream": False}, separators=(",", ":")).encode()
    headers = {"content-type": "application/json", "authorization": "Bearer of the benchmark"}
    with canned_server() as address:
        async with aiohttp.ClientSession() as session:

            async def post() -> None:
                async with session.post(f"{address}/chat/completions", data=body, headers=headers) as reply:
                    await reply.json()

            return await _timed(post, repetitions)


async def streamed_chunk() -> float:
    """Read a stream of a thousand chunks, for each chunk."""
    async with _client() as client:
        messages = _conversation(2)

        async def read() -> None:
            async for _ in client.create_stream(messages):
                pass

        return await _timed(read, 3) / CHUNKS


async def tools() -> float:
    """What 20 tools add to a call whose conversation is short."""
    from autogen_core.tools import FunctionTool

    def find(topic: str, limit: int = 10, language: str | None = None, sure: bool = False) -> str:
        return topic

    async with _client() as client:
        messages = _conversation(2)
        made = [
            FunctionTool(find, f"Finds what is known, way {number}.", name=f"find_{number}") for number in range(TOOLS)
        ]
        without = await _timed(lambda: client.create(messages), 50)
        return await _timed(lambda: client.create(messages, tools=made), 50) - without


async def import_client() -> float:
    """Import the client in a new process."""
    code = (
        "import time; t = time.perf_counter()\n"
        "from autogen_ext.models.openai import OpenAIChatCompletionClient\n"
        "print((time.perf_counter() - t) * 1e6)"
    )
    return min([await asyncio.to_thread(_print_of, code) for _ in range(3)])


def _print_of(code: str) -> float:
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


CASES: dict[str, Callable[[], Coroutine[Any, Any, float]]] = {
    "one call, 2 messages": lambda: call_of(2, 100),
    "one call, 1,000 messages": lambda: call_of(1000, 3 if "0.7" in _release() else 20),
    "floor, 2 messages": lambda: floor_of(2, 200),
    "floor, 1,000 messages": lambda: floor_of(1000, 50),
    "streamed chunk": streamed_chunk,
    "20 tools, added to a call": tools,
    "import of the OpenAI client": import_client,
}


def _release() -> str:
    from importlib.metadata import version

    return version("autogen-core")


def main() -> None:
    """Run the cases that are named, or all."""
    if "--serve" in sys.argv:
        asyncio.run(serve())
        return
    names = sys.argv[1:] or list(CASES)
    print(json.dumps({name: round(asyncio.run(CASES[name]()), 2) for name in names}))


if __name__ == "__main__":
    main()
