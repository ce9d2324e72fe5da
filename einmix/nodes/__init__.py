"""What all kinds of nodes have; no kind is in here."""
