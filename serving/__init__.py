"""HTTP: OpenAI's speech routes, GPT-SoVITS's /tts, a web page, health and metrics. No torch."""
