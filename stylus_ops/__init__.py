"""Music style transfer by attention injection: the whole method, without ComfyUI.

Wings, from the ground up; arrows run down only, and `audio` and `diffusion` never import each other
(contracts in pyproject.toml check this). The write pass is inversion, which records a clip's features; the read pass is
sampling, which reads them.

`dials`                  all user parameters, declared once
`style_weights`          how much each of several styles counts
`copies`                 between host memory and a GPU
`disk`                   files that are there in full or not at all, and a lock

`audio`                  sound
  `audio.backend`        resampling, torchaudio's or soxr's
  `audio.geometry`       the geometry of an image: presets, units, what follows from them
  `audio.read`           reading recordings and the sound of videos, within what a file of its size can hold
  `audio.write`          writing wav, flac, mp3 and opus
  `audio.overview`       a recording at a glance
  `audio.lazy`           waveforms computed where they are read
  `audio.spool`          a recording on disk instead of in memory
  `audio.stft`           short-time Fourier transforms, block by block
  `audio.mel`            mel filters and their inverse, amplitudes, images
  `audio.windows`        a recording cut into images, a section at a time, and joined again
  `audio.loudness`       ITU-R BS.1770's loudness and true peak
  `audio.dynamics`       loudness over time kept near the content's
  `audio.limiter`        loudness matched, single peaks taken back
  `audio.edges`          the first and last milliseconds, which stay the content's
  `audio.tone`           an equaliser that gives a recording the long-term spectrum of others
  `audio.input_warnings` warnings about silent and very short recordings
  `audio.detail`         whose partials are heard, the images' or the content's
  `audio.partials`       the content's notes with the partials of the style's
  `audio.grain`          the style without its tones, which plays what the content can't
  `audio.finish`         channels, dynamics, loudness, peaks and dry to wet of the decoded sound
  `audio.decode`         images back to sound
  `audio.metrics`        chroma and timbre in numbers
  `audio.figure`         spectrograms drawn to be compared
  `audio.mask`           masks from a sound (attacks, drums, tones, a band) or from an image

`diffusion`              the method
  `diffusion.host`       what a host must supply
  `diffusion.schedule`   noise levels
  `diffusion.sites`      which self-attention layers take part
  `diffusion.inversion`  from a clean latent to its noise
  `diffusion.sampling`   from noise to a clean latent
  `diffusion.adain`      start noise with the style's statistics
  `diffusion.attention`  style injection at one self-attention layer
  `diffusion.on_disk`    a tensor on disk instead of in memory
  `diffusion.features`   what is kept of a clip: trajectory, features, and what they were taken with
  `diffusion.style_file` captured styles kept in files
  `diffusion.weights`    a digest that tells two models apart
  `diffusion.recorder`   inverts a clip and keeps its features: the write pass
  `diffusion.reader`     hands out features, from memory or evaluated again
  `diffusion.stylizer`   evaluates the model with features injected: the read pass

`tiny`                   the bundled prior: weights and recordings
  `tiny.autoencoder`     images to latents and back
  `tiny.unet`            latents to noise

`engine`                 the diffusers host
  `engine.source`        what a model's name means
  `engine.ldm_keys`      names of weights, diffusers' to latent diffusion's
  `engine.model`         what is loaded: U-Net, autoencoder, empty prompt, noise levels
  `engine.loading`       loads it
  `engine.stable_diffusion` Stable Diffusion through diffusers
  `engine.engine`        a loaded model as the method's host
  `engine.memory`        what a process has needed

`pipeline`               files to files
  `pipeline.settings`    a value for every dial of the command line; the paper's values
  `pipeline.transfer`    one transfer, from files to a file
  `pipeline.table`       rows of a CSV file
  `pipeline.batch`       many transfers from a table
  `pipeline.cluster`     work handed out to processes on this machine or many
  `pipeline.demo`        the bundled recordings through the bundled model

`evaluation`             transfers measured, beside other methods
  `evaluation.command`   its arguments, and what it prints
  `evaluation.pairs`     the recordings that are evaluated
  `evaluation.methods`   every method that can be compared
  `evaluation.evaluate`  every method on every pair: runs, goes on, sums up
  `evaluation.measure`   all numbers of one output
  `evaluation.notes`     onsets, pitch and tempo
  `evaluation.clarity`   how far partials and beginnings stand out
  `evaluation.texture`   statistics of sound textures
  `evaluation.truth`     distances to the known answer
  `evaluation.clap`      likeness by CLAP
  `evaluation.results`   medians with their intervals, tables, the trade-off curve

`__main__`               the command line
"""
