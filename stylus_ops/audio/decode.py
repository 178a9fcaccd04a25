"""From images back to sound: ways to turn a mel spectrogram into a change of the content's waveform.

Every method edits the content's spectrum inside the mel band at 44.1 kHz and adds the difference to the untouched
waveform at its own rate, so that length, rate, channels and all that lies above the band survive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..copies import to_device, to_host
from ..dials import Decoding
from .backend import resample
from .detail import EMPTY, with_own_detail
from .edges import keep_edges
from .fade import frames_ahead
from .finish import finish
from .geometry import SpectrogramParams
from .grain import Grain, Residual
from .highs import levels_above, with_highs
from .lazy import Filtered, Waveform
from .mel import channel_rms, mel_amplitudes, mel_scale
from .partials import Partials
from .stft import changed_spectra, inverse_stft
from .tails import dried, with_tails
from .tone import Reference, linear_phase
from .windows import Spectrogram, windows_to_mel

GRIFFIN_LIM_ITERS = 32
GAIN_FLOOR = 1e-5  # of the clip's peak, -100 dB: below it a ratio of two mel amplitudes means nothing
DETAIL_GAIN = 60.0  # dB; the content's fine structure is amplified and attenuated by at most this much
SILENT = 1e-30  # magnitude; below it a bin has no phase worth keeping
SECONDS = 20  # of styles and contents that are heard by themselves


class Sources(NamedTuple):
    """What the styles themselves give to the sound."""

    residual: Residual | None = None
    """Plays what the content can't supply."""
    partials: Partials | None = None
    """Those of the content's notes."""
    highs: np.ndarray | None = None
    """Their levels above the images, from `levels_above`."""

    @property
    def fall(self) -> float:
        """dB a second by which the styles' notes rise, below 0 if they fall; 0 where they have none."""
        return self.partials.fall if self.partials else 0.0

    def completed(self, decoded: Waveform, content: Waveform, sample_rate: int, decoding: Decoding) -> Waveform:
        """What `decode_band` returns for a whole clip `[C, T]`, with tails and what lies above the images."""
        if self.partials:
            decoded = with_tails(decoded, content, sample_rate, self.partials.tail * decoding.partials)
        return decoded if self.highs is None else with_highs(decoded, content, sample_rate, self.highs)

    @classmethod
    def of(
        cls, styles: Sequence[Reference], contents: Sequence[Reference], params: SpectrogramParams, decoding: Decoding
    ) -> Sources:
        """Of the first seconds of the styles, as far as the dials ask for it, for contents of as many channels each."""
        if decoding.decode == "gain" or not (decoding.grain or decoding.partials):
            return cls()
        rate = params.sample_rate
        styles = [Reference(sound[:, : SECONDS * own], own, weight) for sound, own, weight in styles]
        highs = levels_above(styles)
        styles, contents = (
            [Reference(resample(sound[:, : SECONDS * own], own, rate), rate, weight) for sound, own, weight in sounds]
            for sounds in (styles, contents)
        )
        partials = Partials.of(styles, params)
        ground, channels = 1 - partials.share if partials else 1.0, contents[0].waveform.shape[0]
        residual = Residual.of(styles, channels, params, ground) if decoding.grain > 0 else None
        return cls(residual, partials.beside(contents) if partials and decoding.partials else partials, highs)


NO_SOURCES = Sources()


def decode(
    images: Tensor,
    spectrogram: Spectrogram,
    decoding: Decoding,
    reference: Tensor | None = None,
    sources: Sources = NO_SOURCES,
) -> Tensor:
    """The sound of `images`, heard through the recording that `spectrogram` keeps.

    Args:
        images: `[B * windows, n_mels, width, 3]` in 0..1, cut like the images of `spectrogram`.
        decoding: its method "gain" filters the content by the ratio of the images to the reference; it adds no energy where the
            content has none. The others are those of `magnitude_change`.
        reference: images that stand for the unchanged content, such as its VAE round trip; only "gain" uses them.
            Without them the content itself is the reference. Shaped as `images`.
        sources: of the styles; not for "gain".

    Returns:
        `[B, C, T]` float32 at `spectrogram.sample_rate`, with the content's batch, channels and samples. Its true peak
        stays below the larger of -1 dBFS and the content's own.

    Raises ValueError: the images are not those of this spectrogram.

    An output that stays more than 1 LU quieter than the content is logged as a warning of "stylus".
    """
    wet = decode_band(images, spectrogram, decoding, reference, sources)
    rate, clips = spectrogram.sample_rate, zip(wet, spectrogram.waveform, strict=True)
    complete = [(sources.completed(*clip, rate, decoding)[:, :], clip[1]) for clip in clips]
    return torch.stack([finish(*clip, rate, decoding, fall=sources.fall)[:, :] for clip in complete])


def decode_band(
    images: Tensor,
    spectrogram: Spectrogram,
    decoding: Decoding,
    reference: Tensor | None = None,
    sources: Sources = NO_SOURCES,
) -> Tensor:
    """`decode` without what depends on the whole clip: its levels are those that the images ask for.

    Spectra are changed where `windows_to_mel` joins the images; what is resampled, and the result, are in host memory.
    """
    params, rate = spectrogram.params, spectrogram.sample_rate
    mel = windows_to_mel(images, spectrogram)
    if decoding.decode == "gain":
        if reference is None:
            own = mel_amplitudes(
                to_device(resample(spectrogram.waveform, rate, params.sample_rate), mel.device), params
            )
        else:
            own = windows_to_mel(reference, spectrogram)
        mel = bounded_gain(mel, own, spectrogram.peak.to(mel.device)[:, None, None], decoding.gain_db)
    decoded = torch.empty_like(spectrogram.waveform)
    for clip, original in enumerate(spectrogram.waveform):
        content, above = original, decoding.above_band_db
        if above:
            content = Filtered(content, linear_phase([params.f_max, params.f_max + 100], [0, above], rate))[:, :]
        in_band, asked = to_device(resample(content, rate, params.sample_rate), mel.device), mel[clip]
        if decoding.decode == "gain":
            change = gain_change(in_band, asked, params)
        else:
            change = magnitude_change(in_band, asked, spectrogram, spectrogram.peak[clip], decoding, sources)
        output = resample(to_host(change), params.sample_rate, rate)[:, : content.shape[-1]]
        output += content
        decoded[clip] = keep_edges(output, content, rate)[:, :]
    return decoded


def bounded_gain(mel: Tensor, reference: Tensor, peak: Tensor, gain_db: float) -> Tensor:
    """`mel / reference` as a factor between -`gain_db` and `gain_db` in dB; 1 where both are far below the clip's peak.

    Shape: mel, reference `[..., n_mels, frames]`, peak that broadcasts to it.
    """
    floor = (GAIN_FLOOR * peak).clamp(min=torch.finfo(torch.float32).tiny)
    limit = 10 ** (gain_db / 20)
    return ((mel + floor) / (reference + floor)).clamp(1 / limit, limit)


def gain_change(waveform: Tensor, gain: Tensor, params: SpectrogramParams) -> Tensor:
    """What is added to a waveform to filter it by `gain`, interpolated between the mel centres.

    Shape: waveform `[C, T]` at `params.sample_rate`, gain `[n_mels, frames]` -> `[C, T]`
    """
    scale = mel_scale(params, waveform.device)

    def change(spectrum: Tensor, frames: slice) -> Tensor:
        return spectrum * scale.spread(gain[:, frames] - 1)

    return inverse_stft(changed_spectra(waveform, change, params), waveform, params)


def magnitude_change(
    waveform: Tensor,
    mel: Tensor,
    spectrogram: Spectrogram,
    peak: Tensor,
    decoding: Decoding,
    sources: Sources = NO_SOURCES,
) -> Tensor:
    """What is added to a waveform to give it the magnitudes of `mel`, with `decoding`'s share of its own detail.

    A mel does not fix the magnitudes: 4000 bins have 512 mel bands. Of all that have it, "phase" takes those nearest to
    the content's own after the gain of `gain_change`, so that an unchanged mel gives back the very waveform. "phase_pinv" (the
    paper's, arXiv 2411.15913) and "griffin_lim" take the smallest, `relu(pinv(filters) @ mel)`. They become the root mean
    square over the channels; each channel keeps its phase ("griffin_lim": a random one) and its proportion.

    An iteration takes the spectrum that the last one really had and imposes the magnitudes nearest to its own that have
    the requested mel. Griffin & Lim impose the first magnitudes again and again; to leave free what the mel leaves free
    brings the sound far closer to it.

    Args:
        spectrogram: of the waveform. A frame's random phases are drawn by its place in the recording, so that a section gets
            those of the whole.
        peak: scalar, the largest mel amplitude of the whole recording.

    Shape: waveform `[C, T]` at the mel's sample rate, mel `[n_mels, frames]` -> `[C, T]`
    """
    # Let X[c, k] be a frame's spectrum in channel c and bin k, r[k] = sqrt(mean_c |X[c, k]|^2), F the filters and m the mel
    # that is asked for. Of the magnitudes w >= 0 with w F = m, `MelScale.nearest` takes those nearest to a start s:
    #     w = relu(s + (m - s F) pinv(F))
    # which has the mel m wherever relu cuts nothing. The smallest have s = 0. For "phase" s = r (g I), the content under the
    # bounded gain g = m / (r F) of each band, which I interpolates between the mel centres: where m = r F, g is 1 and s = w = r.
    # All channels have the factor w / r, which is 1 in bins that no filter covers. The STFT is linear, so what is added to the
    # sound is its inverse of X w / r - X = X (w / r - 1): a zero change adds zero samples, not a rounded copy of the waveform.
    params, method, first_frame = spectrogram.params, decoding.decode, spectrogram.first_frame
    scale, target = mel_scale(params, mel.device), torch.empty_like(mel)
    iterations = decoding.phase_iters or (GRIFFIN_LIM_ITERS if method == "griffin_lim" else 0)
    grain, partials = None, sources.partials.on(mel.device) if sources.partials and decoding.partials else None
    dry, ahead = torch.ones_like(mel), frames_ahead(params) if partials and partials.struck else 0
    if partials is not None and partials.wet > 0:
        dry = dried(mel_amplitudes(waveform[None], params)[0], partials.wet * decoding.partials, params)
    if sources.residual is not None:
        grain = Grain(sources.residual, waveform, first_frame, decoding.grain, params)

    def factor(magnitude: Tensor, start: Tensor, wanted: Tensor) -> Tensor:
        wanted = scale.nearest(start, wanted)
        return torch.where(scale.covered, wanted / magnitude.clamp(min=SILENT), 1)

    def first(spectrum: Tensor, frames: slice) -> Tensor:
        magnitude = channel_rms(spectrum)
        own, asked = scale.amplitudes(magnitude), mel[:, frames]
        wanted, score, added = with_own_detail(asked, own, decoding.detail), None, torch.zeros_like(spectrum)
        if partials is not None:
            noted, score = partials.played(wanted, asked, own, dry[:, frames], decoding.partials)
            asked, wanted = asked * (noted / wanted.clamp(min=EMPTY)).clamp(max=1), noted  # less the style's own notes
        if grain is not None:
            wanted = wanted * grain.split(asked, own, frames)
        target[:, frames] = wanted
        if score is not None:
            added = score.sounded(wanted, own, spectrum)
            wanted = (wanted.square() - scale.amplitudes(channel_rms(added)).square()).relu().sqrt()
        start = torch.zeros_like(magnitude)
        if method == "phase":
            start = magnitude * scale.spread(bounded_gain(wanted, own, peak, DETAIL_GAIN))
        by = factor(magnitude, start, wanted)
        if method == "griffin_lim":
            generators = (
                torch.Generator().manual_seed(first_frame + frame) for frame in range(frames.start, frames.stop)
            )
            drawn = torch.stack([torch.rand(by.shape[-1], generator=generator) for generator in generators])
            turns = to_device(drawn, by.device)
            by = torch.polar(by, 2 * torch.pi * turns * scale.covered)
        return spectrum * (by - 1) + added

    def again(spectrum: Tensor, frames: slice) -> Tensor:
        magnitude = channel_rms(spectrum)
        return spectrum * (factor(magnitude, magnitude, target[:, frames]) - 1)

    # Overlapping frames disagree, so the sum has not quite the magnitudes w. Its own spectrum is the next X, and s = r.
    changed = torch.zeros_like(waveform)
    for turn, change in enumerate([first, *[again] * iterations]):
        spectra = changed_spectra(waveform + changed if turn else waveform, change, params, ahead)
        if grain is not None and turn == iterations:
            spectra = grain.added(spectra)
        changed += inverse_stft(spectra, waveform, params)
    return changed
