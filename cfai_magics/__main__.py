"""`python -m cfai_magics` is the shell's `cfai`."""

import sys

from .cli import main

sys.exit(main())
