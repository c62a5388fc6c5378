"""One module a command (or group of commands) of the timbre CLI."""
