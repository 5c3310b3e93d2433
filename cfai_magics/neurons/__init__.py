"""What calls cost in neurons, and what budgets let them have."""
