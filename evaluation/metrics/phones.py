"""Phone error rates and the rules that call a sentence failed, as the engine itself applies them."""

from timbre.inference.guards import SentenceLimits, longest_loop, sentence_failures
from timbre.text.edit_distance import EditCounts, edit_counts, total

__all__ = ["EditCounts", "SentenceLimits", "edit_counts", "longest_loop", "sentence_failures", "total"]
