"""SQLite files shared by all kernels of a user."""
