"""Tests of what comes in over MQTT."""
