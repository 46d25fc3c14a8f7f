"""Use cases of metering and invoicing: they decide with billing.core and act through storage."""
