"""Run the `cfai` command as `python -m cfai_magics`."""

import sys

from .cli import main

sys.exit(main())
