"""A space on data: counted, bounded, drawn, walked."""
