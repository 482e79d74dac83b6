"""Runtimes whose agents live in several processes, one folder each, every one behind its own extra."""
