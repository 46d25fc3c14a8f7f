"""Ways in and out: MQTT, the command line, the scheduler, the composition root."""
