"""Regression transcripts: one fixed session through every front end, recorded and compared.

`python -m tests.transcript --write` rewrites the golden files; `test_transcript.py` compares them
byte for byte. The session uses only names that users see, so internal renames do not change it.
The few exceptions are in `names.py`.
"""
