"""Run the recorder: `python -m notebooks.recorder`."""

from .record import main

main()
