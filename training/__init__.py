"""How the bundled prior is made. FOLDER is any folder outside the repository; every step goes on where it was stopped. The UNet
wants a GPU. Today's weights were trained on from earlier ones (the model card tells their way): to improve them, begin with
`--start stylus_ops/tiny/prior.safetensors` in a new folder with the same data, which needs no step of the autoencoder, and judge
the result with `python -m training.truth`.

apt-get install fluidsynth fluid-soundfont-gm
python -m pip install '.[training]'
python -m training.data --out FOLDER/data
python -m training.autoencoder --folder FOLDER --minutes 8
python -m training.prior --folder FOLDER --minutes 8 --device cuda --bfloat16 --pairs 128
python -m training.export --folder FOLDER
python -m training.recordings
python -m training.evaluate
"""
