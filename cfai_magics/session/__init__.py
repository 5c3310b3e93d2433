"""The single code path of every model call."""
