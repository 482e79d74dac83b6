"""The machinery of a runtime: envelope, mailbox, directory, delivery, observer. `autogen_core.lowlevel` publishes it."""
