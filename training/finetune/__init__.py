"""LoRA fine-tuning of one voice on a frozen base: stage 3 of the pipeline."""
