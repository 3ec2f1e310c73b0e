"""Whether a row of a file names a person: in a field that is for people, not anywhere that the same characters stand.

Takes lines of JSON and of delimited files, gives yes or no. The id "7" is somebody's; a price of 7 is nobody's. Where
nothing says which field is which, a row counts as theirs rather than not. Knows no file.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence

_OF_PEOPLE = re.compile("user|customer|visitor|client|person|people|household|shopper", re.IGNORECASE)
"""In the name of a field, as importers and feeds call it."""
_DELIMITERS = (",", ";", "\t", "|")


def word_of(user_id: str) -> re.Pattern[bytes]:
    """The id as a word of its own, as it is and as JSON escapes it."""
    forms = {user_id.encode("utf-8", "surrogatepass"), json.dumps(user_id)[1:-1].encode()}
    forms.add(json.dumps(user_id, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass"))
    return re.compile(rb"(?<![\w-])(?:" + b"|".join(map(re.escape, sorted(forms))) + rb")(?![\w-])")


def json_names(text: bytes | str, user_id: str) -> bool:
    """
    >>> json_names('{"user_id": 7, "price": 8}', "7"), json_names('{"user_id": "8", "price": 7}', "7")
    (True, False)
    >>> json_names('{"people": [{"id": "7"}]}', "7")
    True
    >>> json_names('{"user_id": "8", "price": 7, "cut o', "7")  # no JSON: rather theirs than not
    True
    """
    try:
        return _within(json.loads(text), user_id, of_people=False)
    except ValueError:
        raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        return bool(word_of(user_id).search(raw))


def _within(value: object, user_id: str, *, of_people: bool) -> bool:
    """`of_people`: whether a field around it is for people."""
    if isinstance(value, dict):
        return any(
            (of_people and key == user_id)
            or _within(each, user_id, of_people=of_people or bool(_OF_PEOPLE.search(key)))
            for key, each in value.items()
        )
    if isinstance(value, list):
        return any(_within(each, user_id, of_people=of_people) for each in value)
    return of_people and str(value) == user_id


def cells_name(line: str, user_id: str, header: Sequence[str] = ()) -> bool:
    """Of a delimited line; where no column of `header` is for people, any cell may be.

    >>> cells_name("8,7", "7", ("user_id", "price")), cells_name("7,8", "7", ("user_id", "price"))
    (False, True)
    >>> cells_name("8;7", "7"), cells_name("8;17", "7")
    (True, False)
    """
    places = [place for place, name in enumerate(header) if _OF_PEOPLE.search(name)]
    for delimiter in _DELIMITERS:
        cells = [cell.strip() for cell in cells_of(line, delimiter)]
        if len(cells) > 1 or delimiter == _DELIMITERS[-1]:
            asked = [cells[place] for place in places if place < len(cells)] if places else cells
            if user_id in asked:
                return True
    return False


def cells_of(line: str, delimiter: str = ",") -> list[str]:
    """Empty for a line that is none."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def reject_names(line: bytes, user_id: str) -> bool:
    """Of a row of the rejects file, whose `raw` is the beginning of a line of any feed.

    >>> reject_names(b'{"line": 7, "field": "time", "reason": "missing", "raw": "anna,p9,"}', "7")
    False
    """
    try:
        row = json.loads(line)
        raw, field, reason = row["raw"], str(row.get("field")), str(row.get("reason"))
    except (ValueError, TypeError, KeyError):
        return bool(word_of(user_id).search(line))
    if _OF_PEOPLE.search(field) and word_of(user_id).search(reason.encode("utf-8", "surrogatepass")):
        return True
    return json_names(raw, user_id) if raw.lstrip().startswith("{") else cells_name(raw, user_id)
