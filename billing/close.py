"""The close, as its callers know it; the work is in `billing.closing`."""

from billing.closing.run import CloseReport, Failure, close

__all__ = ["CloseReport", "Failure", "close"]
