"""What one block may be, counted by cost."""
