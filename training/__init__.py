"""How the bundled prior is made. FOLDER is any folder outside the repository; every step goes on where it was stopped.
TUNED is another one, whose `data` is FOLDER/data. To improve the prior, lengthen that last training and judge it with
`python -m training.truth`.

apt-get install fluidsynth fluid-soundfont-gm
python -m pip install '.[training]'
python -m training.data --out FOLDER/data
python -m training.autoencoder --folder FOLDER --minutes 8
python -m training.prior --folder FOLDER --minutes 80 --compile --bfloat16 --width 128 --transfers 0
python -m training.autoencoder --folder FOLDER --minutes 6 --rate 3e-4 --decoder-only
python -m training.export --folder FOLDER
python -m training.prior --folder TUNED --start stylus_ops/tiny/prior.safetensors --minutes 60 --pairs 4 --width 128 \\
    --rate 1.5e-4 --injected-only
python -m training.export --folder TUNED
python -m training.recordings
python -m training.evaluate
"""
