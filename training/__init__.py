"""LoRA fine-tuning, training of the nano base, export to ONNX."""
