"""Provide the front ends, magics, tab completion and comm for notebooks, IPython and the shell."""
