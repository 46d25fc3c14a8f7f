"""The pages that people work in: server-rendered, over the same use cases as every other way in."""
