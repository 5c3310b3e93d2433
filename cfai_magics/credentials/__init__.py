"""Account, token and other secrets: kept, found, known by their form."""
