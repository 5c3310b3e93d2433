"""Build prompts and parse answers with pure functions."""
