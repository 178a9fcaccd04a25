"""The pack's own socket types. What travels on them are the NamedTuples of `stylus_ops`."""

from comfy_api.latest import io

Spectrogram = io.Custom("STYLUS_SPECTROGRAM")
Schedule = io.Custom("STYLUS_SCHEDULE")
Inversion = io.Custom("STYLUS_INVERSION")
Style = io.Custom("STYLUS_STYLE")


def style_output() -> io.Output:
    return Style.Output("style", tooltip="For Blend Styles, Inject Attention Sampler or Apply Style to Model.")
