"""What all model clients need once: names, usage, stop reasons, tool schemas, assembled tool calls, token counts.

Stands on `autogen_core`; must not know any provider or its SDK. Private to `autogen_ext.models`.
"""
