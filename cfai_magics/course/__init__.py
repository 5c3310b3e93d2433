"""A course's file: found, read, and what it allows."""
