"""Speaker encoders: GE2E and ERes2NetV2."""
