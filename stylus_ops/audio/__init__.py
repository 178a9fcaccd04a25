"""Sound: files, mel-spectrogram images, and images back to sound. Knows nothing of diffusion."""
