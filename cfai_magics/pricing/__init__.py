"""Model catalog, prices, token estimates, budgets and rate limits."""
