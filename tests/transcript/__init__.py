"""Regression transcripts: one fixed session through every front end, recorded and compared.

`python -m tests.transcript --write` records the golden files anew; `test_transcript.py` compares
them byte for byte. Only names that users see are used here, so that the package can be renamed
inside without a change to the session: see `names.py` for the few exceptions.
"""
