"""The endpoints of `/api/v1`, a file for each noun; none of them holds a rule."""
