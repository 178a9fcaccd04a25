"""Music style transfer by attention injection: the whole method, without ComfyUI.

Wings, from the ground up; arrows run down only, and `audio` and `diffusion` never import each other
(`tests/unit/test_architecture.py` holds this).

`dials`                  every dial's name, default, range and meaning
`output_files`           files that are there in full or not at all

`audio`                  sound
  `audio.backend`        resampling and the mel filterbank, torchaudio's or soxr's and librosa's
  `audio.geometry`       the geometry of an image: presets, units, what follows from them
  `audio.files`          reading and writing recordings
  `audio.overview`       a recording at a glance
  `audio.lazy`           waveforms computed where they are read
  `audio.spool`          a recording on disk instead of in memory
  `audio.stft`           short-time Fourier transforms, block by block
  `audio.mel`            mel filters and their inverse, amplitudes, images
  `audio.windows`        a clip cut into a batch of images, and joined again
  `audio.sections`       a long recording seen and heard a section at a time
  `audio.meter`          loudness of what arrives block by block
  `audio.loudness`       loudness and true peak
  `audio.dynamics`       loudness over time
  `audio.limiter`        loudness matched, single peaks taken back
  `audio.tone`           the long-term spectrum of others
  `audio.worth`          whether there is something to take
  `audio.finish`         levels of what was decoded
  `audio.decode`         images back to sound
  `audio.metrics`        chroma and timbre in numbers
  `audio.figure`         spectrograms drawn to be compared
  `audio.mask`           where a sound does something

`diffusion`              the method
  `diffusion.host`       what a host must supply
  `diffusion.schedule`   noise levels
  `diffusion.sites`      which self-attention layers take part
  `diffusion.inversion`  from a clean latent to its noise
  `diffusion.sampling`   and back
  `diffusion.adain`      start noise with the style's statistics
  `diffusion.attention`  style injection at one self-attention layer
  `diffusion.on_disk`    a tensor on disk instead of in memory
  `diffusion.features`   what is kept of a clip: trajectory, features, and what they were taken with
  `diffusion.style_file` captured styles kept in files
  `diffusion.weights`    whether two models are the same
  `diffusion.streaming`  features between host memory and the device
  `diffusion.recorder`   the write pass
  `diffusion.reader`     features as the read pass asks for them
  `diffusion.stylizer`   the read pass

`tiny`                   the bundled prior: weights, autoencoder, recordings

`engine`                 the diffusers host
  `engine.source`        what a model's name means
  `engine.ldm_keys`      names of weights, diffusers' to latent diffusion's
  `engine.checkpoint`    every tensor of a checkpoint there, finite and in its shape
  `engine.loading`       from there to a model
  `engine.tiny_unet`     the bundled prior as a diffusers U-Net
  `engine.engine`        a loaded model as the method's host
  `engine.memory`        what a process has needed

`pipeline`               files to files
  `pipeline.settings`    everything that shapes the sound
  `pipeline.transfer`    the stages of a transfer
  `pipeline.long`        the stages for a recording of any length
  `pipeline.transfer_files` one transfer from files to a file
  `pipeline.share`       how processes share work
  `pipeline.batch`       many transfers from a table
  `pipeline.demo`        the bundled recordings through the bundled model

`evaluation`             transfers measured, beside other methods

`__main__`               the command line
"""
