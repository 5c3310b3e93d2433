"""Loading into IPython, its magics, and what it offers a command."""
