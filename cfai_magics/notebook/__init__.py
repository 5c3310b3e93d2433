"""Which notebook this is, what it asks, and what failed in it."""
