"""The commands and their arguments, and how they end. Knows what a command is called, not what it does."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import values
from .errors import CommandError
from .host import run_host
from .logs import FORMATS, LEVELS, set_up_logs
from .server import run_server
from .worker import run_worker

_logger = logging.getLogger("autogen")

_STATUSES = """\
ends with
  0  it was told to end (SIGTERM, SIGINT) and has drained
  1  it failed: an address in use, an extra that is not installed, draining that took too long
  2  the arguments are wrong, or a file that they name
  3  the agents cannot be loaded, or their registration failed
  4  the host or server was not there in time, or did not admit the worker
  128 + n  it was told to end a second time, by signal n
"""

_RUN: dict[str, Callable[[argparse.Namespace], None]] = {"host": run_host, "worker": run_worker, "server": run_server}


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command until it ends; return the status for the shell."""
    options = make_parser().parse_args(arguments)
    set_up_logs(options.log_level, options.log_format, messages=options.log_messages)
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # until there is a loop; a container's first process ignores it
    try:
        _RUN[options.command](options)
    except CommandError as error:
        _logger.error("%s", error)  # noqa: TRY400 - the text says it all; where users' code failed is logged at debug
        return error.status
    except KeyboardInterrupt:
        _logger.info("told to end before there was anything to drain")
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return what reads the arguments of all commands."""
    called = Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(
        prog="autogen" if called == "autogen" else "python -m autogen_ext.runtimes",
        description="Agents in several processes: a host or a server where they meet, and workers that host them.",
        epilog=_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text, add in (
        ("host", "where the workers of the gRPC runtime meet", _host),
        ("worker", "host agents, on gRPC or on NATS", _worker),
        ("server", "a NATS server, for development and for a single machine", _server),
    ):
        command = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=_STATUSES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add(command)
        _common(command)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--health",
        type=values.address,
        metavar="HOST:PORT",
        help="answer GET /healthz and GET /readyz here (default: nowhere)",
    )
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="what to log (default: %(default)s)")
    parser.add_argument("--log-format", choices=FORMATS, default="text", help="how to log (default: %(default)s)")
    parser.add_argument("--log-messages", action="store_true", help="log each message of an agent, with its content")


def _drain(parser: argparse.ArgumentParser, default: float) -> None:
    parser.add_argument(
        "--drain-timeout",
        type=values.seconds,
        default=default,
        metavar="SECONDS",
        help="how long to let handlers finish once told to end (default: %(default)g)",
    )


def _limit(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--max-message-bytes", type=values.count, metavar="N", help="the longest gRPC message to take (default: 4 MiB)"
    )


def _host(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen",
        type=values.address,
        default="127.0.0.1:50051",
        metavar="HOST:PORT",
        help="where to listen, port 0 for a free one (default: %(default)s)",
    )
    parser.add_argument("--certificate", metavar="FILE", help="the host's certificate and those it stands on, PEM")
    parser.add_argument("--key", metavar="FILE", help="the private key of the certificate, PEM")
    parser.add_argument(
        "--client-ca", metavar="FILE", help="workers must show a certificate that stands on one of these"
    )
    parser.add_argument("--tokens", metavar="FILE", help="what workers may do, by bearer token: JSON, or TOML")
    parser.add_argument(
        "--certificate-names", metavar="FILE", help="what workers may do, by common name of their certificate"
    )
    _limit(parser)
    _drain(parser, 5)
    gateway = parser.add_argument_group("gateway to NATS")
    gateway.add_argument(
        "--gateway", metavar="URL", help="pass on to the agents of this server, nats://host:port, or with TLS tls://"
    )
    gateway.add_argument("--gateway-namespace", default="autogen", help="the system there (default: %(default)s)")
    gateway.add_argument("--gateway-ca", metavar="FILE", help="what the server's certificate must stand on, PEM")
    gateway.add_argument("--gateway-token-file", metavar="FILE", help="the file of the bearer token for the server")
    gateway.add_argument("--gateway-credentials", metavar="FILE", help="the file of a user's JWT and seed")


def _worker(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "agents",
        nargs="+",
        metavar="module:function",
        help="a function, also async, that registers agents at a runtime",
    )
    parser.add_argument(
        "--runtime", choices=("grpc", "nats"), help="which runtime (default: by the scheme of --connect)"
    )
    parser.add_argument(
        "--connect",
        default=os.environ.get("AUTOGEN_CONNECT"),
        metavar="URL",
        help="grpc://host:port or nats://host:port, with TLS grpcs:// or tls:// (default: AUTOGEN_CONNECT)",
    )
    parser.add_argument(
        "--connect-timeout",
        type=values.seconds,
        default=60,
        metavar="SECONDS",
        help="how long the host or server may take to be there at the start (default: %(default)g)",
    )
    parser.add_argument(
        "--timeout", type=values.seconds, metavar="SECONDS", help="how long requests of agents may take"
    )
    parser.add_argument("--ca", metavar="FILE", help="what the certificate of the host must stand on, PEM")
    parser.add_argument("--certificate", metavar="FILE", help="the worker's certificate, PEM")
    parser.add_argument("--key", metavar="FILE", help="the private key of the certificate, PEM")
    parser.add_argument("--token-file", metavar="FILE", help="the file of the bearer token (default: AUTOGEN_TOKEN)")
    _drain(parser, 30)
    grpc = parser.add_argument_group("gRPC only")
    grpc.add_argument(
        "--shared", action="append", default=[], metavar="TYPE", help="an agent type that other workers host, too"
    )
    _limit(grpc)
    nats = parser.add_argument_group("NATS only")
    nats.add_argument("--namespace", help="workers of one namespace are a system of their own (default: autogen)")
    nats.add_argument("--pool", help="the name of the mailboxes that the worker's agent types share")
    nats.add_argument(
        "--stateless", action="append", default=[], metavar="TYPE", help="an agent type whose agents keep nothing"
    )
    nats.add_argument("--user", metavar="NAME", help="the user name, with a password")
    nats.add_argument("--password-file", metavar="FILE", help="the file of the password (default: AUTOGEN_PASSWORD)")
    nats.add_argument("--nkey-file", metavar="FILE", help="the file of the nkey's seed (default: AUTOGEN_NKEY)")
    nats.add_argument("--credentials", metavar="FILE", help="the file of a user's JWT and seed")
    nats.add_argument(
        "--shared-inbox", action="store_true", help="hear answers on _INBOX.>, where the server's permissions say so"
    )


def _server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=values.port, default=4222, help="the port, 0 for a free one (default: %(default)s)"
    )
    parser.add_argument("--store", metavar="FOLDER", help="where streams are kept (default: gone with the process)")
    parser.add_argument("--certificate", metavar="FILE", help="the server's certificate and those it stands on, PEM")
    parser.add_argument("--key", metavar="FILE", help="the private key of the certificate, PEM")
    parser.add_argument(
        "--client-ca", metavar="FILE", help="clients must show a certificate that stands on one of these"
    )
    parser.add_argument("--tokens", metavar="FILE", help="what workers may do, by bearer token: JSON, or TOML")
    parser.add_argument("--nkeys", metavar="FILE", help="what workers may do, by public nkey: JSON, or TOML")
    parser.add_argument("--namespace", help="the namespace that those rights are for (default: autogen)")
    parser.add_argument(
        "--max-message-bytes", type=values.count, metavar="N", help="the longest message to take (default: 8 MiB)"
    )
