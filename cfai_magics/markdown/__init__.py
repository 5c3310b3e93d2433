"""Parse, sanitize and render Markdown written by models."""
