"""A server of one's own: it starts, comes back with its data, and does not outlive whoever started it."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from autogen_ext.runtimes.nats._server import NatsServer
from autogen_ext.runtimes.nats._server_config import NatsServerOptions, NatsUser
from autogen_ext.runtimes.nats._server_process import NatsServerError, NatsServerMissingError

from .conftest import NewClient, NewServer
from .waiting import until


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _gone(pid: int) -> None:
    await until(lambda: not _alive(pid))


async def test_a_server_is_ready_when_it_is_started(new_client: NewClient) -> None:
    async with NatsServer(NatsServerOptions(monitoring=True, max_payload=2_000_000)) as server:
        assert server.running
        assert server.url == f"nats://127.0.0.1:{server.port}"
        client = await new_client(server)
        assert client.max_payload == 2_000_000
        await client.jetstream().add_stream(name="kept", subjects=["kept"])
        assert (server.store_dir / "jetstream").is_dir()
        await client.close()
        assert server.monitoring_url is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.monitoring_url.rpartition(":")[2]))
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b'"ok"' in await reader.read()
        writer.close()
        pid, store = server.pid, server.store_dir
    assert not _alive(pid)
    assert not store.exists()
    assert not server.running


@pytest.mark.parametrize("way", ["stop", "kill"])
async def test_a_server_that_was_stopped_comes_back_with_port_and_data(
    way: str, new_server: NewServer, new_client: NewClient
) -> None:
    server = await new_server()
    client = await new_client(server)
    stream = client.jetstream()
    await stream.add_stream(name="kept", subjects=["kept"])
    await stream.publish("kept", b"once")
    port, pid = server.port, server.pid
    await getattr(server, way)()
    assert not _alive(pid)
    with pytest.raises(RuntimeError, match="does not run"):
        _ = server.pid
    await server.start()
    assert (server.port, server.pid != pid) == (port, True)
    await until(lambda: client.is_connected)
    assert (await stream.get_last_msg("kept", "kept")).data == b"once"


async def test_data_in_a_folder_of_the_users_stay(new_client: NewClient, tmp_path: Path) -> None:
    for expected in (1, 2):
        async with NatsServer(store_dir=tmp_path / "streams") as server:
            client = await new_client(server)
            stream = client.jetstream()
            await stream.add_stream(name="kept", subjects=["kept"])
            assert (await stream.publish("kept", b"")).seq == expected
            await client.close()
    assert (tmp_path / "streams").is_dir()


async def test_stopping_twice_is_stopping(new_server: NewServer) -> None:
    server = await new_server()
    await server.stop()
    await server.stop()
    await server.close()
    await server.close()


async def test_a_running_server_is_not_started_again(new_server: NewServer) -> None:
    server = await new_server()
    with pytest.raises(RuntimeError, match="already"):
        await server.start()


async def test_a_server_that_crashed_is_started_again(new_server: NewServer) -> None:
    server = await new_server()
    port = server.port
    os.kill(server.pid, signal.SIGKILL)
    await until(lambda: not server.running)
    await server.start()
    assert server.port == port


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals that stop a process")
async def test_a_server_that_hangs_is_killed() -> None:
    server = NatsServer(stop_timeout=0.3)
    await server.start()
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    await server.close()
    assert not _alive(pid)


async def test_a_taken_port_is_waited_for_and_then_named(new_server: NewServer) -> None:
    holder = await new_server()
    late = NatsServer(port=holder.port, start_timeout=1.0)
    with pytest.raises(NatsServerError, match="address already in use"):
        await late.start()
    starting = asyncio.create_task(NatsServer.start(patient := NatsServer(port=holder.port)))
    await asyncio.sleep(0.3)
    await holder.close()
    await starting
    await patient.close()
    await late.close()


async def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    server = NatsServer(store_dir=tmp_path / "file")
    with pytest.raises(NatsServerError, match="ended while it started") as caught:
        await server.start()
    assert "JetStream" in caught.value.log
    assert not server.running
    await server.close()


async def test_a_missing_server_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NATS_SERVER", str(tmp_path / "nothing"))
    with pytest.raises(NatsServerMissingError, match=r"autogen-ext\[nats\]"):
        await NatsServer().start()
    broken = tmp_path / "broken"
    broken.write_bytes(b"no program")
    broken.chmod(0o755)
    monkeypatch.setenv("NATS_SERVER", str(broken))
    server = NatsServer()
    with pytest.raises(NatsServerError, match="cannot be started"):
        await server.start()
    await server.close()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
async def test_a_cancelled_start_leaves_no_server() -> None:
    before = _servers()
    server = NatsServer()
    starting = asyncio.create_task(server.start())
    async with asyncio.timeout(10):
        while True:  # at every step, so that it is caught before it is ready
            if _servers() != before:
                break
            await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert _servers() == before
    assert not server.running
    await server.start()
    await server.close()


def _servers() -> set[int]:
    """Return the servers whose keeper is a child of this process."""
    found: set[int] = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            head, _, rest = status.read_text().rpartition(")")
            keeper = Path(f"/proc/{rest.split()[1]}/stat").read_text().rpartition(")")[2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if head.endswith("(nats-server") and int(keeper.split()[1]) == os.getpid():
            found.add(int(status.parent.name))
    return found


@asynccontextmanager
async def _parent(*arguments: str) -> AsyncGenerator[tuple[Process, list[str]]]:
    """Run a program that starts a server; give what it says of it."""
    program = str(Path(__file__).with_name("parent.py"))
    parent = await asyncio.create_subprocess_exec(sys.executable, program, *arguments, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    try:
        yield parent, (await parent.stdout.readline()).decode().split()
    finally:
        if parent.returncode is None:
            parent.kill()
        await parent.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_server_ends_with_the_process_that_started_it(number: signal.Signals) -> None:
    """Also if that had no time for anything; and its temporary files go with it."""
    async with _parent() as (parent, (pid, store)):
        assert _alive(int(pid))
        parent.send_signal(number)
        await parent.wait()
        await _gone(int(pid))
        await until(lambda: not Path(store).exists())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
async def test_a_server_ends_with_its_killed_keeper(new_server: NewServer) -> None:
    server = await new_server()
    pid = server.pid
    assert server._process is not None
    server._process._keeper.kill()
    await _gone(pid)
    await until(lambda: not server.running)
    await server.start()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
async def test_a_forked_child_does_not_keep_the_server_alive() -> None:
    """It holds the other end of the keeper's pipe, too."""
    async with _parent("fork") as (parent, (pid, _, child)):
        try:
            parent.kill()
            await _gone(int(pid))
            assert _alive(int(child))
        finally:
            os.kill(int(child), signal.SIGKILL)


async def test_only_its_user_can_read_what_a_server_is_told(new_server: NewServer) -> None:
    server = await new_server(users=(NatsUser(name="a", password="not for everybody"), NatsUser(token="neither this")))
    folder = server.store_dir.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    config = folder / "server.conf"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert "neither this" not in config.read_text()
    assert "not for everybody" not in repr(server.options)


def test_unusable_options_are_refused() -> None:
    with pytest.raises(ValueError, match="max_payload"):
        NatsServerOptions(max_payload=100_000_000)
    with pytest.raises(ValueError, match="ping_interval"):
        NatsServerOptions(ping_interval=0)
    with pytest.raises(RuntimeError, match="not started yet"):
        _ = NatsServer().port
