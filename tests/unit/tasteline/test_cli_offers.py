"""The verbs about offers: what they refuse, and that a part is measured as asked."""

import pytest

from tests.unit.tasteline.shell import Shell


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("eval", "offers", "--part", "discounts"), "people, coupons, cart, sponsored"),
        (("eval", "offers", "--data", "elsewhere", "--part", "people"), "no coupon campaigns"),
        (("train", "offers", "--data", "elsewhere"), "no coupon campaigns"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(shell: Shell, arguments: tuple[str, ...], said: str) -> None:
    outcome = shell(*arguments)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.out == ""
