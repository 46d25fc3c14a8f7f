"""Prices, aggregations and charges against worked examples."""
