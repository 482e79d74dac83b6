"""Model clients, one folder each, every one behind its own extra. Other distributions may ship further ones here."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
