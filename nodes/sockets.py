"""The pack's own socket types. What travels on them are the NamedTuples of `stylus_ops`."""

from comfy_api.latest import io

Spectrogram = io.Custom("STYLUS_SPECTROGRAM")
Inversion = io.Custom("STYLUS_INVERSION")
Style = io.Custom("STYLUS_STYLE")
