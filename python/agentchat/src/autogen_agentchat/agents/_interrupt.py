"""Moved: import `Interrupt` from `autogen_core.lowlevel`."""

from autogen_core.lowlevel import Interrupt as Interrupt
