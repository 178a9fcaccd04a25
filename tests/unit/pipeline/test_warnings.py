"""What the core warns of, on standard error."""

import logging

import pytest

from stylus_ops import __main__ as command_line


def test_a_warning_is_one_line_on_standard_error(capsys: pytest.CaptureFixture) -> None:
    root = logging.StreamHandler()
    logging.getLogger().addHandler(root)
    try:
        with command_line._warnings_shown():
            logging.getLogger("stylus").warning("the content is silent: choose another")
    finally:
        logging.getLogger().removeHandler(root)
    assert capsys.readouterr().err == "stylus: the content is silent: choose another\n"
    assert not logging.getLogger("stylus").handlers
