"""The commands of `python -m autogen_ext.models.local`: install the default model, serve a model. Stands on both."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from ._errors import LocalModelError
from ._weights import DEFAULT_MODEL


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the status for the shell."""
    parser = argparse.ArgumentParser(prog="python -m autogen_ext.models.local", description="A model on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help=f"install the default model, {DEFAULT_MODEL.name} (98 MB)")
    serve = commands.add_parser("serve", help="serve a model with OpenAI's protocol until Ctrl+C")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument(
        "--port", type=int, default=8000, help="port to listen on, 0 for a free one (default: %(default)s)"
    )
    serve.add_argument("--model", help="path of a GGUF file (default: the default model)")
    serve.add_argument("--n-ctx", type=int, default=4096, help="tokens of a conversation (default: %(default)s)")
    serve.add_argument("--threads", type=int, help="threads that compute (default: all cores but one)")
    options = parser.parse_args(arguments)
    try:
        if options.command == "install":
            return _install()
        return asyncio.run(_serve(options))
    except (LocalModelError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - this is a command
        return 1
    except KeyboardInterrupt:
        return 130


def _install() -> int:
    from ._install import install_default_model

    path = install_default_model()
    print(f"{DEFAULT_MODEL.name} is installed: {path}")  # noqa: T201 - this is a command
    return 0


async def _serve(options: argparse.Namespace) -> int:
    from ._server import LocalModelServer

    ending = asyncio.Event()
    _on_signals(ending)
    server = LocalModelServer(
        options.model, host=options.host, port=options.port, n_ctx=options.n_ctx, n_threads=options.threads
    )
    async with server:
        print(f"{server.model_name} is served at {server.base_url} (Ctrl+C ends)", flush=True)  # noqa: T201
        await ending.wait()
    return 0


def _on_signals(ending: asyncio.Event) -> None:
    """Set the event on Ctrl+C or a request to terminate."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, ending.set)
        except NotImplementedError:  # Windows: the handler runs between two steps of the loop
            signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(ending.set) and None)


if __name__ == "__main__":
    sys.exit(main())
