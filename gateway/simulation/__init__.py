"""The deterministic simulation: a random history, played through the engine with crashes, judged by an auditor."""
