"""A program as users of OpenInference write it: the instrumentor first, then a team with a tool. Prints its spans as JSON.

It is run by `test_instrumentors.py`, in a process of its own, since an instrumentor changes classes for good.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from openinference.instrumentation.autogen_agentchat import AutogenAgentChatInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
AutogenAgentChatInstrumentor().instrument(tracer_provider=provider)

from autogen_agentchat.agents import AssistantAgent  # noqa: E402 - the instrumentor comes first, as its guide says
from autogen_agentchat.teams import RoundRobinGroupChat  # noqa: E402
from autogen_ext.models.openai import OpenAIChatCompletionClient  # noqa: E402

CALL = {"id": "call-1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
ANSWERS: list[dict[str, Any]] = [
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "assistant", "content": "It is sunny."},
    {"role": "assistant", "content": "Thanks."},
]


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection of an OpenAI-compatible server that knows three answers."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        size = next(
            int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        await reader.readexactly(size)
        message = ANSWERS.pop(0)
        body = json.dumps(
            {
                "id": "chat-1",
                "object": "chat.completion",
                "created": 0,
                "model": "gpt-4o",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            }
        ).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
        writer.write(f"content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        if not ANSWERS:
            writer.close()
            return


def weather(city: str) -> str:
    """Say the weather."""
    return f"sunny in {city}"


async def main() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    client = OpenAIChatCompletionClient(model="gpt-4o", api_key="none", base_url=url)
    team = RoundRobinGroupChat(
        [
            AssistantAgent("forecaster", client, tools=[weather], reflect_on_tool_use=True),
            AssistantAgent("listener", client),
        ],
        max_turns=2,
    )
    await team.run(task="What is the weather in Paris?")
    await client.close()
    server.close()


def told(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (attributes or {}).items() if isinstance(value, str | int)}


asyncio.run(main())
spans = exporter.get_finished_spans()
names = {span.context.span_id: span.name for span in spans if span.context}
print(  # noqa: T201 - what the test reads
    json.dumps(
        [
            {
                "name": span.name,
                "parent": names.get(span.parent.span_id) if span.parent else None,
                "status": span.status.status_code.name,
                "attributes": told(span.attributes),
            }
            for span in spans
        ]
    )
)
