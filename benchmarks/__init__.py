"""The benchmark suite: every figure is a ratio against a limit or a peer in the same run; see docs/performance.md."""
