"""Match Tone: a recording in the long-term spectrum of others, by an equaliser that shows its curve."""

from typing import Any

import numpy as np
import torch
from comfy_api.latest import io

from ..stylus_ops.audio.figure import draw_curve
from ..stylus_ops.audio.stft import between_blocks
from ..stylus_ops.audio.tone import Reference, match_tone
from ..stylus_ops.audio.windows import check_waveform
from ..stylus_ops.dials import Tone
from ..stylus_ops.style_weights import normalised, parse_weights
from .host.runs import check_interrupt
from .inputs import WeightedStyles, require_audio, require_wires, schema, weighted_styles, widgets


class MatchTone(WeightedStyles):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="StylusMatchTone",
            display_name="Match Tone",
            essentials_category="Audio",
            description="Filters a recording so that it is as bright and as full as others; the notes and its loudness stay.",
            search_aliases=["eq match", "equaliser", "equalizer", "spectrum match", "tone match", "stylus"],
            inputs=[
                io.Audio.Input("audio", tooltip="The recording that is filtered: the content, ahead of Audio to Mel."),
                *weighted_styles(
                    io.Audio.Input("style", tooltip="One more recording; a further input appears below."),
                    least=1,
                    styles="Recordings whose tone is matched.",
                    weights="One number a style from the top down, such as 2, 1. Empty: equal parts.",
                ),
                *widgets(Tone),
            ],
            outputs=[
                io.Audio.Output(
                    "audio_out", "audio", tooltip="As long and as loud as it was, at its rate and channels."
                ),
                io.Image.Output("curve", tooltip="The equaliser's gain over frequency."),
            ],
        )

    @classmethod
    def execute(cls, audio: dict | None, styles: dict[str, dict | None], weights: str, **dials: Any) -> io.NodeOutput:
        require_wires(styles, **styles)
        audio, tone = require_audio(audio), Tone(**dials)
        rate, shares = audio["sample_rate"], normalised(parse_weights(weights), len(styles))
        references = [
            Reference(clip, style["sample_rate"], share)
            for style, share in zip(map(require_audio, styles.values()), shares, strict=True)
            for clip in check_waveform(style["waveform"], style["sample_rate"])
        ]
        with between_blocks(check_interrupt):
            tones = [match_tone(clip, rate, references, tone) for clip in check_waveform(audio["waveform"], rate)]
        curves = [np.asarray(draw_curve(matched.frequencies, matched.decibels)) for matched in tones]
        curve = torch.from_numpy(np.stack(curves)).float() / 255
        matched = {"waveform": torch.stack([matched.waveform[:, :] for matched in tones]), "sample_rate": rate}
        return io.NodeOutput(matched, curve)
