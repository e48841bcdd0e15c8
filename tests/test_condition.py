"""Conditions as text and as samples hold them; what cannot be asked for."""

import numpy as np
import pytest
from pydantic import ValidationError

from components.faults import Fault
from components.samples.condition import each_condition, in_turn, name_condition, parse_changes, parse_condition
from components.samples.domain import Domain

KIND = Domain(kind="category", classes=("boot", "none", "a,b"))
TRAITS = Domain(kind="attributes", classes=("hat", "smiling", "old"))


@pytest.mark.parametrize(
    ("text", "held", "named"),
    [
        ("hat", [1, 0, 0], "hat"),
        ("old, hat", [1, 0, 1], "hat,old"),
        ("none", [0, 0, 0], "none"),
        ("smiling,hat,old", [1, 1, 1], "hat,smiling,old"),
    ],
)
def test_attributes_are_named_with_commas(text, held, named):
    asked = parse_condition(TRAITS, text)
    assert asked.dtype == np.uint8
    assert asked.tolist() == held
    assert name_condition(TRAITS, asked) == named


def test_a_class_is_named_as_it_is():
    for place, name in enumerate(KIND.classes):
        asked = parse_condition(KIND, name)
        assert asked.shape == ()
        assert (int(asked), name_condition(KIND, asked)) == (place, name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("beard", "condition beard: beard is no attribute; there are hat, smiling, old"),
        ("hat,", "condition hat,: nothing is no attribute"),
        ("", "condition : nothing is no attribute"),
        ("hat,none", "none is no attribute"),
        ("hat,hat", "names hat twice"),
        ("hat=1", "hat=1 is no attribute"),
    ],
)
def test_what_is_no_attribute_is_refused_by_name(text, said):
    with pytest.raises(Fault, match=said) as refused:
        parse_condition(TRAITS, text)
    assert "\n" not in str(refused.value)


def test_changes_name_the_value_that_each_gets():
    assert parse_changes(TRAITS, "old=1, hat=0") == {2: 1, 0: 0}
    for text, said in (
        ("hat=2", "give hat 0 or 1"),
        ("hat", "give hat 0 or 1"),
        ("hat=", "give hat 0 or 1"),
        ("hat=1,hat=0", "names hat twice"),
        ("beard=1", "beard is no attribute"),
    ):
        with pytest.raises(Fault, match=said):
            parse_changes(TRAITS, text)


def test_each_and_in_turn():
    assert {name: asked.tolist() for name, asked in each_condition(TRAITS).items()} == {
        "none": [0, 0, 0],
        "hat": [1, 0, 0],
        "smiling": [0, 1, 0],
        "old": [0, 0, 1],
    }
    assert [int(asked) for asked in each_condition(KIND).values()] == [0, 1, 2]
    shown = np.array([[1, 0, 1], [0, 0, 0]], np.uint8)
    turns = [asked.tolist() for asked in in_turn(TRAITS, shown)]
    assert turns == [[[0, 0, 1], [1, 0, 0]], [[1, 1, 1], [0, 1, 0]], [[1, 0, 0], [0, 0, 1]]]
    assert shown.tolist() == [[1, 0, 1], [0, 0, 0]]
    assert [asked.tolist() for asked in in_turn(KIND, np.array([1, 2], np.uint8))] == [[0, 0], [1, 1], [2, 2]]


@pytest.mark.parametrize("name", ["none", "", "a,b", "a=b", " a"])
def test_an_attribute_that_could_not_be_asked_for_is_refused(name):
    with pytest.raises(ValidationError, match="could not be asked for"):
        Domain(kind="attributes", classes=("hat", name))
