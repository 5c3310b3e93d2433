"""Backends that answer calls: Workers AI, other servers and the local model."""
