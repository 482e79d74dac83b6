"""A program that starts a server, says where, and waits to be killed; `fork`: with a child that lives on."""

import asyncio
import os
import sys
import threading
import time

from autogen_ext.runtimes.nats._server import NatsServer


def main() -> None:
    server = NatsServer()
    # In a thread that has ended when the server is needed.
    starter = threading.Thread(target=lambda: asyncio.run(server.start()))
    starter.start()
    starter.join()
    said = [str(server.pid), str(server.store_dir)]
    if sys.argv[1:] == ["fork"]:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        said.append(str(child))
    print(*said, flush=True)  # noqa: T201 - the test reads it
    time.sleep(60)


if __name__ == "__main__":
    main()
