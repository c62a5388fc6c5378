"""Waveforms: read, write, resample, loudness, voice activity, spectra. No torch."""
