"""Sound: files, mel-spectrogram pictures, and pictures back to sound. Knows nothing of diffusion."""
