"""After a whole transfer with the bundled prior, nothing tells where its windows join."""

import itertools

import torch
from torch import Tensor

from stylus_ops.audio.backend import resample
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.mel import mel_amplitudes
from stylus_ops.audio.read import read_audio
from stylus_ops.audio.windows import Recording, Spectrogram
from stylus_ops.dials import Images
from stylus_ops.diffusion.features import Style
from stylus_ops.engine.engine import Engine
from stylus_ops.pipeline.settings import Settings
from stylus_ops.pipeline.transfer import Clip, Transfer
from stylus_ops.tiny import RECORDINGS

TINY = PRESETS["tiny-256"]
FLOOR = 1e-3  # of the peak


def at_joins(waveform: Tensor, spectrogram: Spectrogram) -> list[float]:
    """Differences where windows join over those elsewhere, of the mel of a waveform [1, C, T] cut like `spectrogram`, and
    of its levels."""
    params, starts = spectrogram.params, spectrogram.starts
    mel = mel_amplitudes(resample(waveform, spectrogram.sample_rate, params.sample_rate), params)[0]
    level = 20 * mel.clamp(min=FLOOR * mel.max()).log10()
    joined = torch.zeros(mel.shape[-1] - 1, dtype=torch.bool)
    for earlier, later in itertools.pairwise(starts):
        joined[later - 1 : earlier + params.width] = True
    steps = mel.diff().norm(dim=0), level.diff().abs().mean(0)
    return [float(step[joined].median() / step[~joined].median()) for step in steps]


def clip(name: str, times: int = 1) -> Clip:
    waveform, rate = read_audio(RECORDINGS / f"{name}.flac")
    return Clip(name, Recording.cut(waveform[0].repeat(1, times), rate, TINY, Images.overlap, "loop"))


def test_neighbouring_frames_differ_no_more_at_joins_than_elsewhere():
    run = Transfer(Engine.load("tiny", "cpu"), Settings(steps=2), quiet=True)
    content = clip("melody", times=2)
    assert len(content.recording.starts) > 2
    style = clip("style_a")
    inversion, capture = run.invert([content, style])
    output = run.decode(run.restyle(inversion, Style((capture,), (1.0,))), content, [style])[:, :]
    assert max(at_joins(output[None], content.recording.part(slice(None)))) < 1.2
