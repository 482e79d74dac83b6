"""A module that needs another one, which is not there."""

import there_is_no_such_module  # noqa: F401 # pyright: ignore[reportMissingImports, reportUnusedImport] - that is the point
