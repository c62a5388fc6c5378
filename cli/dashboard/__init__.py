"""Static pages of all voices, their gates and their history."""
