"""Export of a base to the ONNX graphs that the torch-free engine runs."""
