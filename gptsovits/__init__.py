"""The GPT-SoVITS networks (torch modules) and upstream checkpoint files. No training loops."""
