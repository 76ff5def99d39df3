"""The decoder's tests in Rust read what the encoder of today writes."""

from tests.security.golden import GOLDEN, text


def test_golden_file_is_of_today() -> None:
    assert GOLDEN.read_text() == text(), "next: python -m tests.security.golden"
