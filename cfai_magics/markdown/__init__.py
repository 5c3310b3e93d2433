"""Parse, sanitize and render the Markdown of models."""
