"""What a talk fills into templates: people, money, dates, identity data.

Each slot returns its text as this talk's medium wants it (said or typed) and, for personal data,
its kind. Amounts and days that a customer says come with a slip and its repair now and then.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

from ingest.datagen import numbers
from ingest.datagen.cast import FIRST_NAMES, PLACES
from ingest.datagen.grammar import Slot

if TYPE_CHECKING:
    from ingest.datagen.talk import Talk

TalkSlot = Callable[["Talk"], tuple[str, str | None]]

_SLIPS = ("— no, sorry, ", "— wait, ", "… no, ", "— hang on, ", "— I mean ", ", sorry, ")


def _with_repair(talk: Talk, value: str, slip: Callable[[], str]) -> str:
    if talk.is_chat or not talk.customer_speaks or talk.rng.random() >= talk.persona.repair:
        return value
    wrong = slip()
    if wrong == value:
        return value
    return f"{wrong}{_SLIPS[int(talk.rng.random() * len(_SLIPS))]}{value}"


def _money(talk: Talk, cents: int) -> str:
    return numbers.typed_money(cents) if talk.is_chat else numbers.spoken_money(cents)


def _balance(talk: Talk) -> tuple[str, str | None]:
    return _money(talk, talk.balance_cents), None


def _arrears(talk: Talk) -> tuple[str, str | None]:
    return _money(talk, talk.arrears_cents), None


def _instalment(talk: Talk) -> tuple[str, str | None]:
    return _money(talk, talk.instalment_cents), None


def _offer(talk: Talk) -> tuple[str, str | None]:
    """Less than the instalment: what the customer can do."""
    dollars = max(10, talk.instalment_cents // 100 - 5 * (1 + int(talk.rng.random() * 9)))
    said = _money(talk, dollars * 100)
    return _with_repair(talk, said, lambda: _money(talk, (dollars + 10) * 100)), None


def _money_any(talk: Talk) -> tuple[str, str | None]:
    """An amount from everyday life, 11 to 940 dollars."""
    dollars = 11 + int(talk.rng.random() * 930)
    said = _money(talk, dollars * 100)
    return _with_repair(talk, said, lambda: _money(talk, (dollars + 7) * 100)), None


def _money_big(talk: Talk) -> tuple[str, str | None]:
    return _money(talk, (12 + int(talk.rng.random() * 180)) * 5000), None


def _count(talk: Talk) -> tuple[str, str | None]:
    number = 2 + int(talk.rng.random() * 11)
    return (str(number) if talk.is_chat else numbers.in_words(number)), None


def _day(talk: Talk) -> tuple[str, str | None]:
    day = numbers.DAYS[int(talk.rng.random() * 7)]
    return _with_repair(talk, day, lambda: numbers.DAYS[int(talk.rng.random() * 7)]), None


def _month(talk: Talk) -> tuple[str, str | None]:
    return numbers.MONTHS[int(talk.rng.random() * 12)], None


def _date(talk: Talk, first: int, spread: int) -> str:
    day = talk.day + dt.timedelta(days=first + int(talk.rng.random() * spread))
    return numbers.typed_date(day) if talk.is_chat else numbers.spoken_date(day)


def _due_date(talk: Talk) -> tuple[str, str | None]:
    said = _date(talk, 5, 38)
    return _with_repair(talk, said, lambda: _date(talk, 5, 38)), None


def _past_date(talk: Talk) -> tuple[str, str | None]:
    return _date(talk, -75, 70), None


def _time(talk: Talk) -> tuple[str, str | None]:
    minutes = (32 + int(talk.rng.random() * 40)) * 15
    return (numbers.typed_time(minutes) if talk.is_chat else numbers.spoken_time(minutes)), None


def _first(talk: Talk) -> tuple[str, str | None]:
    return talk.person.first, "PERSON_NAME"


def _full(talk: Talk) -> tuple[str, str | None]:
    return f"{talk.person.first} {talk.person.last}", "PERSON_NAME"


def _last(talk: Talk) -> tuple[str, str | None]:
    return talk.person.last, "PERSON_NAME"


def _agent(talk: Talk) -> tuple[str, str | None]:
    return talk.agent.first, "PERSON_NAME"


def _next_agent(talk: Talk) -> tuple[str, str | None]:
    return talk.agents[-1].first, "PERSON_NAME"


def _someone(talk: Talk) -> tuple[str, str | None]:
    return FIRST_NAMES[int(talk.rng.random() * len(FIRST_NAMES))], "PERSON_NAME"


def _place(talk: Talk) -> tuple[str, str | None]:
    return PLACES[int(talk.rng.random() * len(PLACES))], None


def _brand(talk: Talk) -> tuple[str, str | None]:
    return talk.brand, None


def _spelled(talk: Talk) -> tuple[str, str | None]:
    if talk.is_chat:
        return talk.person.last, "PERSON_NAME"
    with_names = talk.rng.random() < 0.5
    return numbers.spelled(talk.person.last, with_names=with_names), "PERSON_NAME"


def _birthday(talk: Talk) -> tuple[str, str | None]:
    born = talk.person.born
    if talk.is_chat:
        return f"{born.day:02d}/{born.month:02d}/{born.year}", "DATE_OF_BIRTH"
    return numbers.spoken_birthday(born), "DATE_OF_BIRTH"


def _address(talk: Talk) -> tuple[str, str | None]:
    street = talk.person.street
    if not talk.is_chat:
        number, _, rest = street.partition(" ")
        street = f"{numbers.in_words(int(number))} {rest}"
    return f"{street}, {talk.person.suburb}", "ADDRESS"


def _digits(talk: Talk, digits: str) -> str:
    return digits if talk.is_chat else numbers.spoken_digits(digits)


def _phone(talk: Talk) -> tuple[str, str | None]:
    return _digits(talk, talk.person.phone), "PHONE"


def _email(talk: Talk) -> tuple[str, str | None]:
    email = talk.person.email
    if not talk.is_chat:
        email = email.replace("@", " at ").replace(".", " dot ")
    return email, "EMAIL"


def _card(talk: Talk) -> tuple[str, str | None]:
    return _digits(talk, talk.person.card), "CARD_NUMBER"


def _bank_account(talk: Talk) -> tuple[str, str | None]:
    bsb, account = talk.person.bsb, talk.person.bank_account
    if talk.is_chat:
        return f"{bsb.replace(' ', '-')} {account.replace(' ', '')}", "BANK_ACCOUNT"
    return (
        f"BSB {numbers.spoken_digits(bsb)}, account {numbers.spoken_digits(account)}",
        "BANK_ACCOUNT",
    )


def _account_number(talk: Talk) -> tuple[str, str | None]:
    return _digits(talk, talk.person.account_number), "ACCOUNT_NUMBER"


def _reference(talk: Talk) -> tuple[str, str | None]:
    number = f"{int(talk.rng.random() * 1000):03d} {int(talk.rng.random() * 1000):03d}"
    return _digits(talk, number), "REFERENCE_NUMBER"


_TALK_SLOTS: dict[str, TalkSlot] = {
    "balance": _balance,
    "arrears": _arrears,
    "instalment": _instalment,
    "offer": _offer,
    "money": _money_any,
    "big_money": _money_big,
    "count": _count,
    "day": _day,
    "month": _month,
    "due_date": _due_date,
    "past_date": _past_date,
    "time": _time,
    "first": _first,
    "last": _last,
    "full": _full,
    "agent": _agent,
    "next_agent": _next_agent,
    "someone": _someone,
    "place": _place,
    "brand": _brand,
    "spelled": _spelled,
    "dob": _birthday,
    "address": _address,
    "phone": _phone,
    "email": _email,
    "card": _card,
    "bank_account": _bank_account,
    "account_number": _account_number,
    "reference": _reference,
}

SLOTS: dict[str, Slot] = _TALK_SLOTS  # type: ignore[assignment]
"""Every slot that a bank may name."""
