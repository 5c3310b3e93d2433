"""Markdown as front ends render it, and what in the HTML would load or run something."""
