"""The acoustic model (SoVITS): posterior, prior, flow, generators, discriminators, losses."""
