"""The documents that customers receive: PDF, Factur-X, UBL, from what was issued."""
