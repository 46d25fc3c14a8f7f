"""What is named like a secret is masked where it is shown, whatever stands there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.redacting import redacted, shown


@pytest.mark.parametrize(
    "text, said",
    [
        ('{"user": "a", "password": "b\\"c", "n": 1.50}', '{"user": "a", "password": "***", "n": 1.50}'),
        ('{"appKey":12,"x":[{"auth_token":{"a":["}"]}}],"y":1}', '{"appKey":"***","x":[{"auth_token":"***"}],"y":1}'),
        ('{"note": "the password", "next": 1}', '{"note": "the password", "next": 1}'),
        ('{"secret": "never ends', '{"secret": "***"'),
        ("user=a&wifi_password=b c", "user=a&wifi_password=*** c"),
        ("the metric 'x' is 7", "the metric 'x' is 7"),
    ],
)
def test_a_secret_is_masked_and_the_rest_stays_as_it_was_sent(text: str, said: str) -> None:
    assert redacted(text) == said


def test_bytes_that_are_no_text_are_shown_in_hexadecimal() -> None:
    assert shown(b'\xff{"token":"t"}') == '\\xff{"token":"***"}'


@given(inner=st.text(alphabet='"\\{}[]:=key ,a', max_size=80))
def test_no_text_breaks_it_and_none_without_a_secret_is_changed(inner: str) -> None:
    assert isinstance(redacted(inner), str)
    if "key" not in inner:
        assert redacted(inner) == inner


@pytest.mark.parametrize("piece", ['"\\', '"key', "key", "key=", '{"key":', '"key":{'])
def test_a_hostile_text_costs_what_its_length_is(piece: str) -> None:
    assert redacted(piece * 20_000), "in the square of its length it would be minutes"
