"""ONNX Runtime engine: text and voice to audio. No torch."""

from timbre.core.telemetry import switch_off_telemetry

# Here, because every module of this room imports ONNX Runtime after this line.
switch_off_telemetry()
