"""Makes `tests.standin` importable, and runnable with `python -m tests.standin`."""
