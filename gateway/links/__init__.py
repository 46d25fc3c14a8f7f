"""Connections to a broker: one interface, two clients of it."""
