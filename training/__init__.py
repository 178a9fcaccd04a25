"""How the bundled prior is made. FOLDER is any folder outside the repository; every step goes on where it was stopped. The last
training needs a GPU; to improve the prior, lengthen it and judge it with `python -m training.truth`.

apt-get install fluidsynth fluid-soundfont-gm
python -m pip install '.[training]'
python -m training.data --out FOLDER/data
python -m training.autoencoder --folder FOLDER --minutes 8
python -m training.prior --folder FOLDER --minutes 8 --device cuda --bfloat16 --pairs 128
python -m training.export --folder FOLDER
python -m training.recordings
python -m training.evaluate
"""
