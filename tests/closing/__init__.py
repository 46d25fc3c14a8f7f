"""The close, from rows to invoices and extractions, on both databases."""
