"""Who takes part: customers, agents and the personal data that they speak of.

Telephone numbers come from the ranges that the Australian Communications and Media Authority
keeps for works of fiction, mail addresses from example.com, cards fail the Luhn check, and BSBs
start with 00, which no bank uses.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo

from ingest.datagen import numbers
from ingest.datagen.scenarios import BusinessLine
from ingest.domain.conversation import Direction, Medium

FIRST_NAMES = numbers.words(
    "Aaliyah Aaron Abbey Adrian Ahmed Aisha Alana Alec Alinta Amara Amelia Amir Andre Anika Anita "
    "Anthea Arjun Asha Ashleigh Bailey Beau Bec Belinda Ben Bethany Bianca Blake Brayden Bree "
    "Brendan Bridie Brodie Bronte Caleb Callum Cameron Carly Carmel Cassie Chantelle Charlie "
    "Chloe Christos Claudia Cody Colleen Connor Corey Courtney Craig Dale Damien Danica Danielle "
    "Darcy Darren Deb Declan Deepa Dimitri Dominic Donna Duncan Dylan Ebony Eleni Elise Eloise "
    "Emeka Emma Enzo Ethan Evie Faisal Farah Felicity Fergus Fiona Freya Gavin Gemma Georgia Gita "
    "Glen Grace Graham Gurpreet Hamish Hannah Harriet Heath Heidi Hugh Ibrahim Imogen Indi Ines "
    "Isaac Isla Jackson Jacinta Jade Jai Jamal James Jarrah Jarrod Jasmine Jayden Jed Jenna Jess "
    "Joel Jordan Josie Kai Karen Kasey Katrina Keira Kelvin Kerry Kiah Kirsty Kobe Koby Kylie "
    "Lachie Lana Lara Latisha Leah Leila Leon Liam Linh Loretta Lorraine Luca Lucy Luke Mack "
    "Maddie Malia Marcus Maree Margot Marlon Matilda Maya Mei Melinda Mia Mick Min Mitch Mohan "
    "Molly Nadine Narelle Nate Nella Nerida Ngoc Nick Nikhil Nina Noah Olive Oscar Paddy Patrice "
    "Paul Petra Phoebe Pia Quentin Rachael Rahul Raelene Rani Rebekah Reece Renee Rhys Rohan Rory "
    "Rosa Ruby Ryan Sage Salma Sam Sanjay Sasha Scott Sean Shane Sharni Shaun Sienna Simon Sione "
    "Skye Sofia Stavros Stella Steph Suresh Tahlia Talia Tamsin Tane Tara Tegan Thanh Theo Tia "
    "Tilly Toby Tran Travis Trent Trish Tyson Uma Vanessa Vera Vikram Violet Wade Warwick Wes "
    "Willa Xanthe Yara Yasmin Yolanda Yusuf Zahra Zane Zara Zoe"
)
LAST_NAMES = numbers.words(
    "Abboud Ackland Adeyemi Ahn Alderton Ambrose Andreou Appleyard Armitage Atkins Aveling "
    "Baguley Baird Bannerman Barlow Barwick Bassett Beaumont Bellbird Bennetts Bhatt Birdsall "
    "Blakeney Boland Borg Bracewell Brennock Brightwell Broadfoot Brooker Buchan Burridge "
    "Calloway Camilleri Cantrell Carmody Castellano Chandran Chau Cheeseman Clancy Cleary Coburn "
    "Colquhoun Conti Corrigan Coverdale Cranston Crosbie Cullinane Dabrowski Dalgleish Darmody "
    "Davenport Delacroix Denholm Desai Devereux Dhillon Dinh Doherty Dragović Drummond Duffield "
    "Dunphy Eastment Egan Ellery Elmasri Emmerson Fairweather Falzon Farquhar Fenech Ferraro "
    "Findlay Fitzgibbon Fonoti Forsyth Fotheringham Freeland Gallagher Gannon Garside Georgiou "
    "Ghosh Gilfoyle Glasson Goddard Goonan Gorman Grech Greenaway Grivas Guthrie Haddad Hallam "
    "Halloran Hardcastle Harrigan Hassett Hawthorne Henschke Herath Hewson Hollis Horvat Huynh "
    "Inglis Ioannou Iskander Jarvis Jelbart Jovanovic Kalra Kaminski Karunaratne Keane Keating "
    "Kennelly Keogh Khoury Kilbride Kingsmill Kowalczyk Krause Kumari Lacey Laidlaw Langdon "
    "Lattimore Laverty Leota Lindqvist Lockyer Longbottom Loughnan Lovegrove Macalister Mackie "
    "Maguire Mahoney Malouf Mancini Mannix Marinos Marquand Masterson Matulic McAllister McCrae "
    "McGlynn McInerney McKenzie Medcalf Mehta Menzies Merrick Mifsud Millward Moloney Moncrieff "
    "Moretti Mulcahy Mundy Naidoo Nakamura Neville Nguyen Nolan Norquay Nugent O'Brien O'Dwyer "
    "O'Halloran O'Keefe Oldfield Olsson Onslow Osei Pagonis Papadakis Parmar Pascoe Paterson "
    "Pelligrino Pemberton Pereira Petrov Pham Pickering Plowman Prendergast Prideaux Quilty Quirk "
    "Radford Rafferty Raman Ransley Redfern Reardon Renshaw Ridgeway Rigby Riordan Rochford "
    "Romano Roxburgh Saba Saunders Savvas Scully Selwood Shanahan Sheedy Silvester Sinclair "
    "Skerritt Slattery Soliman Southwell Spiteri Stannard Stavrou Stirling Strachan Sutherland "
    "Swindells Szabo Taleb Tannous Tapsell Tauiliili Templeton Thistle Thorburn Tiernan Tolhurst "
    "Tomasi Tranter Treloar Truscott Tupou Underhill Urquhart Valente Vassallo Venables Vlahos "
    "Waddell Wakefield Waratah Warburton Weatherby Whelan Whitlock Wickham Wilmot Winterton "
    "Woolcock Wyndham Xuereb Yeates Yilmaz Youngman Zammit Zielinski"
)
STREET_NAMES = numbers.words(
    "Banksia Wattle Acacia Grevillea Jacaranda Bottlebrush Ironbark Stringybark Kookaburra Rosella "
    "Lorikeet Wallaby Bandicoot Railway Station Church Mill Quarry Brickworks Orchard Creek Lagoon "
    "Esplanade Hilltop Ridge Valley Federation Coronation Anzac Gallipoli Nelson Victoria Albert "
    "Macquarie Flinders Lawson Paterson Kendall Bradman Phillip Hume Sturt Leichhardt Eyre Burke "
    "Chisholm Cowper Darling Murray Barcoo Thomson Fitzroy Namoi"
)
STREET_TYPES = numbers.words("Street Road Avenue Crescent Court Drive Parade Close Lane Place")
PLACES = tuple(
    place
    for line in (
        "Ipswich,Toowoomba,Caboolture,Logan,Redcliffe,Mackay,Bundaberg,Gympie,Cairns,Townsville,Nambour,",
        "Geelong,Ballarat,Bendigo,Werribee,Dandenong,Frankston,Sunbury,Shepparton,Mildura,Traralgon,",
        "Wodonga,Melton,Craigieburn,Pakenham,Penrith,Blacktown,Campbelltown,Parramatta,Gosford,Dubbo,",
        "Tamworth,Wagga,Orange,Bathurst,Lismore,Coffs,Nowra,Maitland,Cessnock,Liverpool,Fairfield,",
        "Elizabeth,Salisbury,Gawler,Whyalla,Port Lincoln,Mount Gambier,Murray Bridge,Noarlunga,",
        "Joondalup,Rockingham,Mandurah,Armadale,Bunbury,Geraldton,Kalgoorlie,Midland,Kwinana,",
        "Hobart,Glenorchy,Launceston,Devonport,Burnie,Palmerston,Katherine,Queanbeyan,Tuggeranong",
    )
    for place in line.split(",")
    if place
)
MOBILES = tuple(
    f"0491 {tail}"
    for line in (
        "570 006,570 110,570 156,570 157,570 158,570 159,570 313,570 737,571 266,571 491",
        "571 804,572 549,572 665,572 983,573 770,573 087,574 118,574 632,575 254,575 789",
        "576 398,576 801,577 426,577 644,578 957,578 148,578 888,579 212,579 760,579 455",
    )
    for tail in line.split(",")
)
_AREAS = ("02", "03", "07", "08")


@dataclass(frozen=True, slots=True)
class Person:
    """A customer with everything that an identity check may ask."""

    first: str
    last: str
    born: dt.date
    street: str
    suburb: str
    phone: str
    email: str
    card: str
    bsb: str
    bank_account: str
    account_number: str


@dataclass(frozen=True, slots=True)
class CustomerPersona:
    """How a customer speaks; shares between 0 and 1."""

    words_per_minute: int
    hesitation: float
    repair: float
    chattiness: float
    temper: int
    """Starting mood, -2 to 2."""
    is_lowercase: bool
    """Types without capitals."""


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent with their place in the organisation and their manner."""

    agent_id: str
    first: str
    last: str
    team: str
    site: str
    words_per_minute: int
    care: float
    """Share of chances to acknowledge that they take."""
    hesitation: float

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first} {self.last}"


def make_person(rng: random.Random, year: int) -> Person:
    """Return a customer between 19 and 78 years old in `year`."""
    dice = rng.random
    first = FIRST_NAMES[int(dice() * len(FIRST_NAMES))]
    last = LAST_NAMES[int(dice() * len(LAST_NAMES))]
    street = STREET_NAMES[int(dice() * len(STREET_NAMES))]
    kind = STREET_TYPES[int(dice() * len(STREET_TYPES))]
    if dice() < 0.6:
        phone = MOBILES[int(dice() * len(MOBILES))]
    else:
        exchange = "5550" if dice() < 0.5 else "7010"
        phone = f"{_AREAS[int(dice() * 4)]} {exchange} {int(dice() * 10000):04d}"
    plain = "".join(char for char in last.lower() if char.isascii() and char.isalpha())
    return Person(
        first=first,
        last=last,
        born=dt.date(year - 19 - int(dice() * 60), 1, 1) + dt.timedelta(days=int(dice() * 365)),
        street=f"{1 + int(dice() * 240)} {street} {kind}",
        suburb=PLACES[int(dice() * len(PLACES))],
        phone=phone,
        email=f"{first.lower()}.{plain}{int(dice() * 99) or ''}@example.com",
        card=numbers.card_number_that_fails_luhn(
            "4" if dice() < 0.6 else "52", int(dice() * 10**12)
        ),
        bsb=f"00{int(dice() * 10)} {int(dice() * 1000):03d}",
        bank_account=f"{int(dice() * 1000):03d} {int(dice() * 1000):03d}",
        account_number=f"{int(dice() * 10000):04d} {int(dice() * 10000):04d}",
    )


def make_persona(rng: random.Random, hesitation: float, temper: int) -> CustomerPersona:
    """Return a way of speaking around the profile's hesitation rate and the scenario's temper."""
    dice = rng.random
    return CustomerPersona(
        words_per_minute=130 + int(dice() * 60),
        hesitation=min(0.95, hesitation * (0.3 + 1.4 * dice())),
        repair=0.04 + 0.12 * dice(),
        chattiness=0.15 + 0.7 * dice(),
        temper=max(-2, min(2, temper + _temper_drift(dice()))),
        is_lowercase=dice() < 0.45,
    )


def _temper_drift(roll: float) -> int:
    return -1 if roll < 0.22 else 1 if roll > 0.78 else 0


SITES = {
    "Adelaide": "Australia/Adelaide",
    "Fortitude Valley": "Australia/Brisbane",
    "Geelong": "Australia/Melbourne",
    "Ipswich": "Australia/Brisbane",
    "Joondalup": "Australia/Perth",
    "Parramatta": "Australia/Sydney",
}
PORTFOLIOS = {
    "Meridian Recoveries": (
        "PF-MER-TEL-2024-03",
        "PF-MER-FURN-2024",
        "PF-WIRRA-2024B",
        "PF-WIRRA-2025A",
        "PF-CORRAMUNDI-2025",
        "PF-BLUESAND-2025",
    ),
    "Harbourline Finance": ("PF-HLF-AUTO-02", "PF-HLF-PERS-07", "PF-HLF-PERS-11"),
}
CAMPAIGNS = ("CMP-HL-SUMMER-25", "CMP-HL-SMALL-2511", "CMP-TOPUP-SUMMER-25", "CMP-HL-AUTUMN-26")
LOANS_BRAND = "Harbourline Finance"

_EARLY, _LATE = "Early Stage Collections", "Late Stage Collections"
_RESOLUTIONS, _SERVICING, _SUPPORT = "Customer Resolutions", "Loan Servicing", "Loans Support"
_TEAM_SIZE = 18


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a kind of conversation lands: teams that may take it, and its queue by team."""

    queues: tuple[tuple[str, str], ...]


_DESKS = {
    (BusinessLine.COLLECTIONS, Direction.OUTBOUND, Medium.PHONE_CALL): Desk(
        ((_EARLY, "collections-outbound-early"), (_LATE, "collections-outbound-late"))
    ),
    (BusinessLine.COLLECTIONS, Direction.INBOUND, Medium.PHONE_CALL): Desk(
        ((_EARLY, "collections-inbound"), (_RESOLUTIONS, "collections-inbound"))
    ),
    (BusinessLine.LOANS, Direction.OUTBOUND, Medium.PHONE_CALL): Desk(
        ((_SERVICING, "loans-outbound"),)
    ),
    (BusinessLine.LOANS, Direction.INBOUND, Medium.PHONE_CALL): Desk(
        ((_SERVICING, "loans-inbound-servicing"), (_SUPPORT, "loans-support-inbound"))
    ),
}
_CHAT_DESKS = {
    BusinessLine.COLLECTIONS: Desk(((_RESOLUTIONS, "collections-chat"),)),
    BusinessLine.LOANS: Desk(((_SUPPORT, "loans-chat"),)),
}


@cache
def roster() -> dict[str, tuple[Agent, ...]]:
    """Return the agents of each team; the same people in every data set."""
    rng = random.Random("roster")
    sites = list(SITES)
    teams: dict[str, tuple[Agent, ...]] = {}
    number = 3001
    for team in (_EARLY, _LATE, _RESOLUTIONS, _SERVICING, _SUPPORT):
        agents = []
        for index in range(_TEAM_SIZE):
            agents.append(
                Agent(
                    agent_id=f"AGT-{number}",
                    first=FIRST_NAMES[int(rng.random() * len(FIRST_NAMES))],
                    last=LAST_NAMES[int(rng.random() * len(LAST_NAMES))],
                    team=team,
                    site=sites[index % len(sites)],
                    words_per_minute=145 + int(rng.random() * 40),
                    care=0.45 + 0.5 * rng.random(),
                    hesitation=0.02 + 0.06 * rng.random(),
                )
            )
            number += 1
        teams[team] = tuple(agents)
    return teams


def staff(
    rng: random.Random, line: BusinessLine, direction: Direction, medium: Medium
) -> tuple[tuple[Agent, Agent], str]:
    """Return an agent with the one who would take over, and the queue."""
    desk = _CHAT_DESKS[line] if medium is Medium.CHAT else _DESKS[(line, direction, medium)]
    team, queue = desk.queues[int(rng.random() * len(desk.queues))]
    first = roster()[team][int(rng.random() * _TEAM_SIZE)]
    senior = _RESOLUTIONS if line is BusinessLine.COLLECTIONS else _SUPPORT
    second = roster()[senior][int(rng.random() * _TEAM_SIZE)]
    if second.agent_id == first.agent_id or second.first == first.first:
        second = next(a for a in roster()[senior] if a.first != first.first)
    return (first, second), queue


@cache
def site_offset(site: str, day: dt.date) -> dt.timezone:
    """Return the site's UTC offset at noon of the day."""
    noon = dt.datetime.combine(day, dt.time(12), ZoneInfo(SITES[site]))
    offset = noon.utcoffset()
    if offset is None:
        raise ValueError(f"no offset for {site}")
    return dt.timezone(offset)
