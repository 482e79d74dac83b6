"""The wire protocol as Python modules, written by `protos/generate.py` from the `.proto` files beside it."""
