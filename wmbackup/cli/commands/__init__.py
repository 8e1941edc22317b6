"""One command, one module; each is loaded when it runs."""
