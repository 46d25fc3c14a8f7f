"""What goes wrong, made to go wrong: real processes, a real broker, real databases."""
