"""Sources: how what devices already publish becomes usage and events; declared, never programmed."""
