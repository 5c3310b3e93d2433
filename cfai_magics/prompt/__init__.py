"""Build prompts and parse answers: pure functions."""
