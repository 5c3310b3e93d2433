"""Value types that all layers share: frozen, comparable and without I/O."""
