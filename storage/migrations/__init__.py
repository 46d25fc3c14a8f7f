"""Schema history."""

SCHEMA = "0047"
"""The newest migration, so that a command knows what it needs without loading them all; a test holds it to them."""
