"""What stage 4 decides from its measurements: the comparison with production, the gates, and the reports."""
