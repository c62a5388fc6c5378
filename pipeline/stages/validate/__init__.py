"""Stage 1: from recordings as people make them to clean slices, with every problem named."""
