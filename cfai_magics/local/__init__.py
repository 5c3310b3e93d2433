"""A small real model on this machine."""
