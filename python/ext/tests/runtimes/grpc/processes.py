"""Hosts and workers in processes of their own, where real distance or sudden death matters.

The same file is their program:

    python processes.py host [--keepalive MS]
    python processes.py worker ADDRESS TYPE [--shared] [--spans FILE] [--keepalive MS]

Each tells one line when it is ready, a host its address, and ends with who started it at the latest.
"""

import argparse
import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime, GrpcWorkerAgentRuntimeHost


def keepalive(milliseconds: int) -> list[tuple[str, Any]]:
    """Return gRPC options with which a silent peer is found out after about twice the time; they fit hosts and workers."""
    return [
        ("grpc.keepalive_time_ms", milliseconds),
        ("grpc.http2.ping_timeout_ms", milliseconds),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", milliseconds // 2),
        ("grpc.http2.min_ping_interval_without_data_ms", milliseconds // 2),
    ]


@asynccontextmanager
async def worker_process(address: str, *arguments: str) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Start a worker; it is ready when this enters, and gone when it leaves."""
    async with _process("worker", address, *arguments) as (process, told):
        assert told == "ready"
        yield process


@asynccontextmanager
async def host_process(*arguments: str) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    """Start a host; gives its process and address."""
    async with _process("host", *arguments) as started:
        yield started


@asynccontextmanager
async def _process(*arguments: str) -> AsyncGenerator[tuple[asyncio.subprocess.Process, str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        yield process, line.decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


# The program


def _spans_to(file: str) -> "TracerProvider":
    """Return a tracer provider whose spans are appended to a file, one JSON object a line."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

    class Lines(SpanExporter):
        def export(self, spans: "Sequence[ReadableSpan]") -> SpanExportResult:
            with Path(file).open("a") as out:
                out.writelines(f"{span.to_json(indent=None)}\n" for span in spans)
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Lines()))
    return provider


def _tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - so the test hears of it


async def _host(options: argparse.Namespace) -> None:
    host = GrpcWorkerAgentRuntimeHost("127.0.0.1:0", keepalive(options.keepalive) if options.keepalive else None)
    host.start()
    _tell(f"127.0.0.1:{host.port}")
    await host.stop_when_signal()


async def _worker(options: argparse.Namespace) -> None:
    from agents import speak  # this file is run by its path then

    runtime = GrpcWorkerAgentRuntime(
        options.address,
        tracer_provider=_spans_to(options.spans) if options.spans else None,
        extra_grpc_config=keepalive(options.keepalive) if options.keepalive else None,
        shared_types=[options.type] if options.shared else (),
    )
    await runtime.start()
    await speak(runtime, options.type)
    _tell("ready")
    await runtime.stop_when_signal()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["host", "worker"])
    parser.add_argument("address", nargs="?")
    parser.add_argument("type", nargs="?")
    parser.add_argument("--shared", action="store_true")
    parser.add_argument("--spans")
    parser.add_argument("--keepalive", type=int)
    given = parser.parse_args()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    asyncio.run(_host(given) if given.role == "host" else _worker(given))
