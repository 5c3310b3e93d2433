"""What outlives a kernel, in SQLite: the ledger of calls."""
