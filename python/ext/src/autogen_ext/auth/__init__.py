"""Who a program is to the services it calls. Other distributions may ship further ways here."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
