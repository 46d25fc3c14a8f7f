"""Settings and the clock."""
