"""Import filelock without its warning that browsers only have soft locks."""

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "only soft file lock is available")
    from filelock import FileLock, Timeout

__all__ = ["FileLock", "Timeout"]
