"""Apply one prompt template to many rows (`map`)."""
