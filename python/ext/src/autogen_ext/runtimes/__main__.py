"""The commands of `python -m autogen_ext.runtimes`, and of `autogen`: a host, a worker, a server. Stands on `_cli`."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the status for the shell."""
    from ._cli.commands import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
