"""A network at other sizes."""
