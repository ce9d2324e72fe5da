"""Nodes put together: architectures, their costs and their text."""
