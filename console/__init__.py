"""The pages that people work in: server-rendered, over the same use cases as every other way in."""

from console.application import application
from console.house import House

__all__ = ["House", "application"]
