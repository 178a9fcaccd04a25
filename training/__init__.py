"""How the bundled prior is trained on. FOLDER is any folder outside the repository; every step goes on where it was stopped. The
UNet wants a GPU. It begins with today's weights, whose autoencoder stays (the model card gives their history). Judge the result,
FOLDER/prior.safetensors, on triples with a known answer. What is better is copied to stylus_ops/tiny with its checksum.

apt-get install fluidsynth fluid-soundfont-gm musescore-general-soundfont-small
python -m pip install '.[training,evaluation]'
python -m training.data --out FOLDER/data --workers 16
python -m training.prior --folder FOLDER --minutes 9 --device cuda --bfloat16 --compile --pairs 256
python -m training.truth_triples --out TRIPLES
python -m stylus_ops evaluate TRIPLES/dev/triples.csv --out RESULTS --model FOLDER/prior.safetensors --steps 10 --sweep-pairs 0
python -m training.recordings
"""
