"""What Python users call: the only room that knows all of nas."""
