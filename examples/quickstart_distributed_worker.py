"""A worker of `quickstart_distributed.py`: a process that serves one agent, until it is told to end or its parent is gone.

Start it by hand with `python quickstart_distributed_worker.py nats://127.0.0.1:4222 guide`, on any machine that reaches the
server; for a gRPC host the address is `grpc://127.0.0.1:50051`.
"""

import asyncio
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.remote import serve_agent
from autogen_core.models import ChatCompletionClient

if TYPE_CHECKING:
    from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime
    from autogen_ext.runtimes.nats import NatsAgentRuntime

OPENAI_MODEL = "gpt-4o-2024-08-06"
READY = "ready"


async def connect(address: str) -> "NatsAgentRuntime | GrpcWorkerAgentRuntime":
    """Return a started runtime, by what the address begins with."""
    if address.startswith("grpc://"):
        from autogen_ext.runtimes import grpc

        worker = grpc.GrpcWorkerAgentRuntime(urlsplit(address).netloc, drain_timeout=5)
        await worker.start()
        return worker
    from autogen_ext.runtimes import nats

    runtime = nats.NatsAgentRuntime(address, drain_timeout=5)
    await runtime.start()
    return runtime


def model_client() -> ChatCompletionClient:
    """The model: OpenAI's where there is a key, else a small one on this machine."""
    if os.environ.get("OPENAI_API_KEY"):
        from autogen_ext.models.openai import OpenAIChatCompletionClient

        return OpenAIChatCompletionClient(model=OPENAI_MODEL)
    from autogen_ext.models.local import LocalChatCompletionClient

    return LocalChatCompletionClient(max_tokens=60)  # a small model that has begun to ramble does not stop


async def get_weather(city: str) -> str:
    """Get the current weather of a city."""
    return f"The weather in {city} is 23 degrees and sunny. (Asked in process {os.getpid()}.)"


def weather_agent() -> AssistantAgent:
    """The agent that has the tool."""
    return AssistantAgent(
        "weather_agent",
        model_client(),
        tools=[get_weather],
        description="Knows the weather.",
        system_message="Answer with the help of your tools.",
        reflect_on_tool_use=True,
        model_client_stream=True,
    )


def guide() -> AssistantAgent:
    """The agent that speaks to the traveller."""
    return AssistantAgent(
        "guide",
        model_client(),
        description="Speaks to travellers.",
        system_message="You are a friendly travel guide. Answer in one short sentence.",
        model_client_stream=True,
    )


AGENTS = {"weather_agent": weather_agent, "guide": guide}


def end_with_parent() -> None:
    """Tell this process to end when nobody holds its input open any more."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


async def main(address: str, name: str) -> None:
    """Serve an agent."""
    runtime = await connect(address)
    await serve_agent(runtime, name, AGENTS[name])
    print(READY, flush=True)
    end_with_parent()
    await runtime.stop_when_signal()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in AGENTS:
        sys.exit(f"usage: {sys.argv[0]} ADDRESS {'|'.join(AGENTS)}")
    try:
        asyncio.run(main(*sys.argv[1:]))
    except (ImportError, FileNotFoundError) as error:  # the client's package, or the local model's weights
        sys.exit(f"There is no model to ask: set OPENAI_API_KEY, or run `make setup` for the local one ({error}).")
