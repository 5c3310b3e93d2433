"""Backends that answer calls: Workers AI, another server or the local model."""
