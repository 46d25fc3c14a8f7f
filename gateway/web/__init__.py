"""The HTTP API and the console over one ASGI application."""
