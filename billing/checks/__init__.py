"""The checks of the verification, by what they look at; `billing.verify` runs them."""
