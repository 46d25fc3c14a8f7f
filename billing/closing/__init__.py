"""Closing in files of one verb each: read, measure, value, plan, commit, run."""
