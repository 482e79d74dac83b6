"""`worker`: a process that hosts agents, on whichever runtime. Knows the runtimes by `Fleet` only."""

import argparse
import asyncio
import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from .agents import Registration, load, look_here_too
from .errors import NotConnectedError, UsageError, in_a_line
from .fleet import Fleet, W
from .grpc_fleet import grpc_fleet
from .life import EndingError, living
from .nats_fleet import nats_fleet

_logger = logging.getLogger("autogen")

_RUNTIMES = {"grpc": grpc_fleet, "nats": nats_fleet}
_SCHEMES = {"grpc": "grpc", "grpcs": "grpc", "nats": "nats", "tls": "nats"}

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 3.0


def run_worker(options: argparse.Namespace) -> None:
    """Register agents and let them work until the process is told to end."""
    urls = _urls(options.connect)
    named = {_SCHEMES[url.scheme] for url in urls}
    if len(named) != 1 or (options.runtime is not None and options.runtime not in named):
        kind = f"--runtime {options.runtime}" if options.runtime else "a worker"
        raise UsageError(f"{options.connect!r} does not fit {kind}. Expected grpc://host:port, or nats://host:port.")
    fleet: Fleet[Any] = _RUNTIMES[named.pop()](options, urls)
    look_here_too()
    registrations = [load(name) for name in options.agents]  # before there is a loop: modules may use one of their own
    with asyncio.Runner(loop_factory=fleet.new_loop) as runner:
        runner.run(_work(fleet, registrations, options))


async def _work(fleet: Fleet[W], registrations: Sequence[Registration], options: argparse.Namespace) -> None:
    async with living(options.health) as life:
        with suppress(EndingError):
            runtime = await life.starting(_join(fleet, options.connect_timeout))
            life.connected = lambda: fleet.connected(runtime)
            try:
                for registration in registrations:
                    await life.starting(registration.register(runtime))
                await life.work()
            finally:
                await life.drain(runtime.close(), options.drain_timeout)


async def _join(fleet: Fleet[W], connect_timeout: float) -> W:
    """Connect; while nobody is there, try again, since processes that are started together are not ready in order.

    Raises:
        NotConnectedError: Nobody was there in time, or this worker is not admitted.
    """
    end = asyncio.get_running_loop().time() + connect_timeout
    wait_s = _FIRST_WAIT_S
    while True:
        runtime = fleet.make()
        try:
            await runtime.start()
        except Exception as error:
            left = end - asyncio.get_running_loop().time()
            if not fleet.may_come(error):
                raise NotConnectedError(f"{fleet.address} does not take this worker: {in_a_line(error)}") from error
            if left <= 0:
                text = f"No connection to {fleet.address} within {connect_timeout:g} seconds: {in_a_line(error)}"
                raise NotConnectedError(text) from error
            _logger.warning("no connection to %s yet: %s; trying again", fleet.address, in_a_line(error))
        else:
            _logger.info("connected to %s", fleet.address)
            return runtime
        await asyncio.sleep(min(left, random.uniform(wait_s / 2, wait_s)))  # noqa: S311 - so that workers come one by one
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


def _urls(connect: str | None) -> list[SplitResult]:
    """Read where to connect to; a secret in a URL is refused, since everybody can read the arguments of a process."""
    if not connect:
        raise UsageError("Say where to connect to: --connect grpc://host:port, nats://host:port, or AUTOGEN_CONNECT.")
    urls = [urlsplit(one.strip()) for one in connect.split(",")]
    for url in urls:
        if "@" in url.netloc:
            raise UsageError("A URL with a secret in it is refused. Give secrets by file, or environment variable.")
        try:
            whole = url.hostname and url.port is not None and url.path in {"", "/"} and not (url.query or url.fragment)
        except ValueError:  # a port that is none
            whole = False
        if url.scheme not in _SCHEMES or not whole:
            raise UsageError(
                f"{url.geturl()!r} is no address to connect to. Expected grpc://host:port, grpcs://, nats:// or tls://."
            )
    return urls
