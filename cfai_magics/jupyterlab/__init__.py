"""The kernel's end of what JupyterLab shows."""
