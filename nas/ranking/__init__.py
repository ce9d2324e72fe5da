"""Who is ahead, by how much, how sure."""
