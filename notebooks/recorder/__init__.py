"""Records lessons from real small models: a tool for who writes them."""
