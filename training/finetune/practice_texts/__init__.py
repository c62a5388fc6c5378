"""Sentences that a voice practises in fine-tuning: in no evaluation set, and in no training text of a base."""
