"""The local model behind OpenAI's interface, for programs that were written for OpenAI."""

import queue
import re
import threading
from collections.abc import Iterator

import pytest
from running import start_program

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+\S*")
READY_S = 60.0


@pytest.fixture(scope="session")
def local_server() -> Iterator[str]:
    """The base URL of a server on a free port, for as long as the tests run."""
    process = start_program("-m", "autogen_ext.models.local", "serve", "--port", "0")
    output = process.stdout
    assert output is not None
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in output:
            lines.put(line)
        lines.put("")  # it has ended

    reader = threading.Thread(target=read)
    reader.start()
    try:
        seen = [lines.get(timeout=READY_S)]
        while not (address := ADDRESS.search(seen[-1])):
            assert seen[-1], f"the server ended: {''.join(seen)}"
            seen.append(lines.get(timeout=READY_S))
        yield address[0]
    finally:
        process.terminate()
        process.wait(timeout=READY_S)
        reader.join()
        output.close()
