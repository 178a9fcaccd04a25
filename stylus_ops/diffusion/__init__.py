"""The method: inversion, features, style injection and sampling, for any host. Knows nothing of sound."""
