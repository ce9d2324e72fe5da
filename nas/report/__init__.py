"""A run as one HTML page: its verdict, its networks, its plots."""
