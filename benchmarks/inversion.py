"""How close inversion and sampling without injection come back to the source, `fixed_point` beside `ddim`.

`python -m benchmarks.inversion [RECORDING ...]` takes the first window of each recording (the bundled ones by default). PSNR is
that of the decoded image against the autoencoder's own round trip, so that only the loop is measured.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from stylus_ops.audio.files import read_audio
from stylus_ops.audio.geometry import PRESETS
from stylus_ops.audio.metrics import psnr
from stylus_ops.audio.windows import audio_to_windows
from stylus_ops.diffusion.inversion import invert
from stylus_ops.diffusion.sampling import sample
from stylus_ops.diffusion.schedule import ddim_sigmas
from stylus_ops.engine.engine import DTYPES, Engine
from stylus_ops.tiny import RECORDINGS

from .common import Rows, options_of, report

METHODS = (("ddim", 1), ("fixed_point", 1), ("fixed_point", 2), ("fixed_point", 3))


def first_window(path: Path, preset: str) -> Tensor:
    """[1, H, W, 3]"""
    params = PRESETS[preset]
    seconds = params.width * params.hop_length / params.sample_rate
    images, _ = audio_to_windows(*read_audio(path, duration=seconds), params, short_clip="loop")
    return images[:1]


def main() -> None:
    parser = options_of(__doc__)
    parser.add_argument("recordings", nargs="*", type=Path, default=sorted(RECORDINGS.glob("*.flac")))
    parser.add_argument("--model", default="tiny", help="as for python -m stylus_ops transfer")
    parser.add_argument("--steps", type=int, nargs="+", default=[10, 20, 50], help="noise levels N")
    parser.add_argument("--dtype", default="float32", choices=DTYPES, help="of the U-Net")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    engine = Engine.load(options.model, options.device, options.dtype)

    clips = torch.cat([engine.encode(first_window(path, engine.model.preset)) for path in options.recordings])
    round_trip = engine.decode(clips)
    rows: Rows = []
    for steps in options.steps:
        sigmas = ddim_sigmas(engine.model.sigmas, steps).to(engine.device)
        for method, corrections in METHODS:
            before = engine.evaluations
            noise = invert(engine.evaluate, clips, sigmas, method, corrections).noise
            evaluations = (engine.evaluations - before) // len(clips)
            back = sample(engine.evaluate, noise, sigmas)
            name = f"{steps} steps, {method}" + (f" K = {corrections}" if method == "fixed_point" else "")
            error = ((back - clips).flatten(1).norm(dim=1) / clips.flatten(1).norm(dim=1)).mean()
            rows += [
                (f"{name}: PSNR", float(psnr(engine.decode(back), round_trip).mean()), "dB"),
                (f"{name}: relative error of the latent", float(error), ""),
                (f"{name}: evaluations of the inversion", evaluations, ""),
            ]
    report(f"{len(clips)} recordings, {options.model}", options, rows)


if __name__ == "__main__":
    main()
