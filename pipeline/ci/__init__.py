"""What a push means, and the CI jobs that follow from it."""
