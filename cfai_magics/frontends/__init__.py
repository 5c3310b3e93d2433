"""Provide the entry points of IPython and the shell: magics, completion, front ends, the comm."""
