"""The backends of calls: Workers AI, another server, the local model."""
