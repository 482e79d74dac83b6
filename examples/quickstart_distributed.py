"""The first program over several processes: a team whose two agents are served by two workers.

This process starts a server where all meet, and a worker for each agent; it runs the team, and ends them. As in the quickstart
the model is OpenAI's where OPENAI_API_KEY is set, else a small one on this machine. Start it: `make quickstart-distributed`.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from autogen_agentchat.messages import ToolCallExecutionEvent
from autogen_agentchat.remote import RemoteAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.ui import Console
from quickstart_distributed_worker import OPENAI_MODEL, READY, connect

TASK = "What is the weather in New York?"
WORKER = Path(__file__).with_name("quickstart_distributed_worker.py")
STOPS_WITHIN_S = 10.0


@asynccontextmanager
async def server(kind: str) -> AsyncGenerator[str]:
    """Run what the workers meet at, on a free port; gives its address."""
    if kind == "grpc":
        from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntimeHost

        host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0")
        host.start()
        try:
            yield f"grpc://127.0.0.1:{host.port}"
        finally:
            await host.stop(grace=0)
    else:
        from autogen_ext.runtimes.nats import NatsServer

        async with NatsServer() as nats:
            yield nats.url


@asynccontextmanager
async def worker(address: str, agent: str) -> AsyncGenerator[int]:
    """Run a worker that serves an agent; gives its process id, once it is ready."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        WORKER,
        address,
        agent,
        stdin=asyncio.subprocess.PIPE,  # when it closes, the worker ends: also if this process is killed
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl+C is for this process, which then ends the worker
    )
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        if line.decode().strip() != READY:
            raise RuntimeError(f"the worker of {agent} ended before it was ready")
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOPS_WITHIN_S)
            except TimeoutError:
                process.kill()
                await process.wait()


async def main(kind: str) -> None:
    """Start the processes, run the team, and say what it took."""
    started = time.monotonic()
    model = f"{OPENAI_MODEL} of OpenAI" if os.environ.get("OPENAI_API_KEY") else "a small one on this machine"
    print(f"Model: {model}. Runtime: {kind}.")
    async with server(kind) as address, worker(address, "weather_agent") as first, worker(address, "guide") as second:
        print(f"Process {os.getpid()} has the team, {first} the weather agent, {second} the guide.")
        runtime = await connect(address)
        try:
            # Only these lines know that the agents are elsewhere.
            weather_agent = RemoteAgent("weather_agent", description="Knows the weather.", runtime=runtime)
            guide = RemoteAgent("guide", description="Speaks to travellers.", runtime=runtime)
            team = RoundRobinGroupChat([weather_agent, guide], runtime=runtime, max_turns=2)
            result = await Console(team.run_stream(task=TASK))
        finally:
            await runtime.close()
    asked = [message for message in result.messages if isinstance(message, ToolCallExecutionEvent)]
    assert not asked or str(first) in asked[0].content[0].content, "the tool ran where its agent is served"
    speakers = ", ".join(dict.fromkeys(message.source for message in result.messages))
    print(f"\n{speakers}: {len(result.messages)} messages, {time.monotonic() - started:.1f} s. {result.stop_reason}")


def runtime_kind() -> str:
    """Read the arguments: the runtime, NATS if nothing else is said."""
    parser = argparse.ArgumentParser(description="A team over two worker processes.")
    parser.add_argument("--runtime", choices=["nats", "grpc"], default="nats")
    chosen: str = parser.parse_args().runtime
    return chosen


if __name__ == "__main__":
    try:
        asyncio.run(main(runtime_kind()))
    except KeyboardInterrupt:
        print("\nStopped.")
        sys.exit(130)
    except RuntimeError as error:  # a worker that did not start, or a team, which raises what went wrong in it
        sys.exit(f"The team could not finish: {error}")
