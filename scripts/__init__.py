"""Tools for the maintainers of the repository."""
