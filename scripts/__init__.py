"""Tools for maintainers of this repository."""
