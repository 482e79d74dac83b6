"""Integrations with third-party systems, one folder each, every one behind its own extra.

Other distributions may ship sub-packages of `autogen_ext` too: a folder `autogen_ext/<name>/` without an
`autogen_ext/__init__.py` beside it is found here, wherever on `sys.path` it is installed.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
__version__ = "0.8.0.dev0"
