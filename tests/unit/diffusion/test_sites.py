import pytest

from stylus_ops.diffusion.sites import Decoder, DecoderBlock, resolve_sites

SD1 = {number: DecoderBlock(depth=1, channels=320, halvings=(11 - number) // 3) for number in range(3, 12)}
SDXL = {number: DecoderBlock(10 if number < 3 else 2, 640, 2 - number // 3) for number in range(6)}


def blocks(text: str, decoder: Decoder = SD1) -> list[int]:
    return [block for block, _ in resolve_sites(text, decoder)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("6, 8, 10-11", [6, 8, 10, 11]), (" 9 - 10,3 ", [3, 9, 10]), ("10, 6-7, 7", [6, 7, 10])]
    + [(auto, [6, 7, 8, 9, 10, 11]) for auto in ("auto", " Auto ")],
)
def test_numbers_ranges_and_the_papers_choice(text, expected):
    assert blocks(text) == expected


def test_every_transformer_block_of_a_decoder_block_is_a_site():
    assert resolve_sites("2-3", SDXL) == (*((2, i) for i in range(10)), (3, 0), (3, 1))


@pytest.mark.parametrize(
    ("available", "expected"), [(range(6), [3, 4, 5]), (range(2, 8), [5, 6, 7]), (range(3), [1, 2]), ([4], [4])]
)
def test_auto_is_the_last_half_of_other_decoders_attention(available, expected):
    assert blocks("auto", dict.fromkeys(available, SD1[11])) == expected


@pytest.mark.parametrize("text", ["2", "6-12", "11, 12", "0-11", "999"])
def test_blocks_without_attention_are_refused(text):
    with pytest.raises(ValueError, match=r"sites is .*no self-attention"):
        resolve_sites(text, SD1)
    with pytest.raises(ValueError, match="no self-attention"):
        resolve_sites("auto", {})


@pytest.mark.parametrize("text", ["", ",", "6,", "11-6", "six", "6..11", "-6", "6-", "6 7", "6-8-10", "1e1", "all"])
def test_unreadable_text_is_refused(text):
    with pytest.raises(ValueError, match="sites is "):
        resolve_sites(text, SD1)
