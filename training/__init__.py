"""How the bundled prior is made. FOLDER is any folder outside the repository; every step goes on where it was stopped.

apt-get install fluidsynth fluid-soundfont-gm
python -m pip install '.[training]'
python -m training.data --out FOLDER/data
python -m training.autoencoder --folder FOLDER --minutes 8
python -m training.prior --folder FOLDER --minutes 80 --compile --width 128
python -m training.autoencoder --folder FOLDER --minutes 6 --rate 3e-4 --decoder-only
python -m training.export --folder FOLDER
python -m training.recordings
python -m training.evaluate
"""
