"""Entry points of IPython and the shell: magics, completion, displays, the JupyterLab comm."""
