"""Numbers, money, dates and letters as Australians say them and as they type them."""

from __future__ import annotations

import datetime as dt


def words(text: str) -> tuple[str, ...]:
    """Return the words of a list that is written as one text."""
    return tuple(text.split())


_UNITS = words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TENS = words("- - twenty thirty forty fifty sixty seventy eighty ninety")
_DIGITS = words("oh one two three four five six seven eight nine")
_ORDINALS = words(
    "- first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth "
    "twenty-first twenty-second twenty-third twenty-fourth twenty-fifth twenty-sixth "
    "twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first"
)
MONTHS = words(
    "January February March April May June July August September October November December"
)
DAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
_SPELLING = dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        words(
            "apple Bravo Charlie David Edward Freddie George Harry India Jack kilo Lima Mary "
            "November Oscar Peter Queenie Robert Sam Tom umbrella Victor whisky X-ray yellow zebra"
        ),
        strict=True,
    )
)


def _hundreds(number: int) -> str:
    if number < 20:
        return _UNITS[number]
    if number < 100:
        tens, units = divmod(number, 10)
        return _TENS[tens] + (f"-{_UNITS[units]}" if units else "")
    hundreds, rest = divmod(number, 100)
    return f"{_UNITS[hundreds]} hundred" + (f" and {_hundreds(rest)}" if rest else "")


_BELOW_1000 = tuple(_hundreds(number) for number in range(1000))


def in_words(number: int) -> str:
    """Return 0 to 999,999 in words, with the Australian "and"."""
    if number < 1000:
        return _BELOW_1000[number]
    thousands, rest = divmod(number, 1000)
    head = f"{_BELOW_1000[thousands]} thousand"
    if not rest:
        return head
    return f"{head} {'and ' if rest < 100 else ''}{_BELOW_1000[rest]}"


def spoken_money(cents: int) -> str:
    """Return an amount as one says it: dollars and cents in words."""
    dollars, rest = divmod(cents, 100)
    unit = "dollar" if dollars == 1 else "dollars"
    said = f"{in_words(dollars)} {unit}"
    return f"{said} and {in_words(rest)} cents" if rest else said


def typed_money(cents: int) -> str:
    """Return an amount as one types it."""
    dollars, rest = divmod(cents, 100)
    return f"${dollars:,}.{rest:02d}" if rest else f"${dollars:,}"


def spoken_date(day: dt.date) -> str:
    """Return day and month as one says them."""
    return f"the {_ORDINALS[day.day]} of {MONTHS[day.month - 1]}"


def typed_date(day: dt.date) -> str:
    """Return day and month as one types them."""
    return f"{day.day} {MONTHS[day.month - 1]}"


def spoken_birthday(day: dt.date) -> str:
    """Return a date of birth as one says it."""
    year = day.year % 100
    tail = in_words(year) if day.year < 2000 and year > 9 else in_words(day.year)
    return f"{_ORDINALS[day.day]} of {MONTHS[day.month - 1]}, {tail}"


def spoken_digits(digits: str) -> str:
    """Return digits one by one, with a breath where the text has a blank."""
    return ", ".join(
        " ".join(_DIGITS[int(digit)] for digit in group) for group in digits.split() if group
    )


def spoken_time(minutes: int) -> str:
    """Return a time of the day (minutes since midnight) in quarters as one says it."""
    hour, minute = divmod(minutes, 60)
    name = _UNITS[(hour - 1) % 12 + 1]
    following = _UNITS[hour % 12 + 1]
    return {
        0: f"{name} o'clock",
        15: f"quarter past {name}",
        30: f"half past {name}",
        45: f"quarter to {following}",
    }[minute]


def typed_time(minutes: int) -> str:
    """Return a time of the day as one types it."""
    hour, minute = divmod(minutes, 60)
    return f"{(hour - 1) % 12 + 1}{f':{minute:02d}' if minute else ''}{'am' if hour < 12 else 'pm'}"


def spelled(word: str, *, with_names: bool) -> str:
    """Return a word letter by letter, some with a spelling name (B for Bravo)."""
    letters = [char.upper() for char in word if char.isalpha()]
    if not with_names:
        return "-".join(letters)
    said = [
        f"{char} for {_SPELLING[char]}" if index % 2 == 0 and char in _SPELLING else char
        for index, char in enumerate(letters)
    ]
    return ", ".join(said)


def card_number_that_fails_luhn(prefix: str, serial: int) -> str:
    """Return 16 digits in fours whose check digit is wrong, so no real card has them."""
    body = f"{prefix}{serial:0{15 - len(prefix)}d}"[:15]
    total = 0
    for index, char in enumerate(body):
        digit = int(char) * (2 if index % 2 == 0 else 1)
        total += digit - 9 if digit > 9 else digit
    wrong = (10 - total % 10 + 1 + serial % 9) % 10
    digits = f"{body}{wrong}"
    return " ".join(digits[at : at + 4] for at in range(0, 16, 4))
