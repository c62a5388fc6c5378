"""The command timbre: commands, doctor, dashboard. May import every other room."""
