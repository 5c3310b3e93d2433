"""The single code path for all model calls."""
