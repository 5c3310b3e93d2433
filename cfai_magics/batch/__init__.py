"""Run one prompt template over many rows (`map`)."""
