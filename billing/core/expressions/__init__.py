"""Expressions of one's own: the syntax of CEL over exact numbers; read, checked and evaluated without `eval`."""

from billing.core.expressions.checking import NAMES, check
from billing.core.expressions.evaluating import evaluate
from billing.core.expressions.parsing import parse

__all__ = ["NAMES", "check", "evaluate", "parse"]
