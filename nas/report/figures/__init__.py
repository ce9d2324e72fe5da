"""The figures behind a page: what it knows of a run, as plain numbers."""
