"""Build and serve static JupyterLite sites, in which lessons run in the browser."""
