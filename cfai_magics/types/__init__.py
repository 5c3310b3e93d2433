"""Value types that the layers exchange: frozen, comparable, without I/O."""
