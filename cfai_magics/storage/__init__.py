"""SQLite files shared by all of a user's kernels."""
