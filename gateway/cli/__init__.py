"""The `metergate` command."""
