"""Record answers into cassettes and replay them."""
