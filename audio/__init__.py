"""Waveforms, readers, resampling, loudness, voice activity, spectra, room and noise estimates. No torch."""
