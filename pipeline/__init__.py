"""The conveyor: a voice folder through five stages into a voice package. Home of the command timbre."""
