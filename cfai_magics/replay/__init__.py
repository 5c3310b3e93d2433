"""Record answers in cassettes and replay them."""
