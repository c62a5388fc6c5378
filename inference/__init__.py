"""ONNX Runtime engine: text and voice to audio. No torch."""
