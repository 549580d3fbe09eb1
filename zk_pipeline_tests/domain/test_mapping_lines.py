"""Mapping lines: what values mean, and which could mean two things."""

import pytest

from zk_pipeline.decisions.mapping_files import read_mappings
from zk_pipeline.domain.mapping_lines import (
    ActivityMapping,
    AnyMapping,
    CustomerMapping,
    MappingError,
    UserMapping,
    Vocabulary,
)
from zk_pipeline.domain.records import Activity, ActivityType, Agent, Customer, Organization, SourceDirectory
from zk_pipeline_tests.domain.builders import ANNA, BEN, target_directory

HEADER = "kind,zammad,kimai\n"


def source(types: dict[int, str], organizations: dict[int, str], emails: tuple[str, ...] = ()) -> SourceDirectory:
    return SourceDirectory(
        tuple(Agent(str(n), email, email, email, active=True) for n, email in enumerate(emails, start=1)),
        tuple(Organization(str(id_), name, active=True) for id_, name in organizations.items()),
        tuple(ActivityType(str(id_), name, active=True) for id_, name in types.items()),
    )


SOURCE = source(
    {3: "Remote-Support", 4: "Vor-Ort-Einsatz", 5: "R&D @ Night"},
    {7: "Acme", 8: "Meyer KG", 9: "Meyer KG", 10: "Night"},
    ("Anna@example.org", "ben@example.org"),
)
TARGET = target_directory(
    activities=tuple(
        Activity(id_, name, None, None, visible=True)
        for id_, name in ((20, "Support"), (21, "Consulting"), (22, "Travel"), (23, "travel "), (24, "20"))
    ),
    customers=(
        Customer(30, "Acme", "K-7", visible=True),
        Customer(31, "Meyer KG", "0815", visible=True),
        Customer(32, "Meyer KG", "0816", visible=False),
    ),
)
VOCABULARY = Vocabulary(SOURCE, TARGET)


def mapping(kind: str, zammad: str, kimai: str) -> AnyMapping:
    return VOCABULARY.mapping(kind, zammad, kimai)


def problem(content: str | bytes) -> str:
    with pytest.raises(MappingError) as refused:
        read_mappings(content.encode() if isinstance(content, str) else content, VOCABULARY)
    return str(refused.value)


# What values mean


@pytest.mark.parametrize("zammad", ["Remote-Support", " remote-SUPPORT ", "3", "id:3"])
@pytest.mark.parametrize("kimai", ["Consulting", "consulting", "21", "id:21"])
def test_an_activity_is_mapped_by_name_or_id(zammad: str, kimai: str) -> None:
    assert mapping("Activity", zammad, kimai) == ActivityMapping("3", None, 21)


@pytest.mark.parametrize(
    ("zammad", "expected"),
    [
        ("-", (None, None)),
        ("Remote-Support@Acme", ("3", "7")),
        ("3 @ 7", ("3", "7")),
        ("-@acme", (None, "7")),
        ("Remote-Support@id:8", ("3", "8")),
        ("R&D @ Night", ("5", None)),
        ("R&D @ Night@Night", ("5", "10")),
    ],
)
def test_a_type_may_be_missing_or_of_one_organization(zammad: str, expected: tuple[str | None, str | None]) -> None:
    assert mapping("activity", zammad, "Support") == ActivityMapping(*expected, 20)


@pytest.mark.parametrize("kimai", ["anna", "ANNA@example.org", "10"])
def test_a_user_is_mapped_by_id_username_or_email(kimai: str) -> None:
    assert mapping("user", "anna@EXAMPLE.org", kimai) == UserMapping("1", ANNA.id)


@pytest.mark.parametrize(
    ("zammad", "kimai", "expected"),
    [
        ("Acme", "Acme", CustomerMapping("7", 30)),
        ("Acme", "k-7", CustomerMapping("7", 30)),
        ("9", "0816", CustomerMapping("9", 32)),
        ("-", "31", CustomerMapping("0", 31)),
        ("id:8", "New", CustomerMapping("8", None)),
    ],
)
def test_a_customer_is_mapped_by_id_number_or_name_or_gets_one_of_its_own(
    zammad: str, kimai: str, expected: CustomerMapping
) -> None:
    assert mapping("customer", zammad, kimai) == expected


def test_composed_and_decomposed_letters_are_the_same_name() -> None:
    vocabulary = Vocabulary(source({}, {1: "Müller"}), TARGET)
    assert vocabulary.mapping("customer", "Mu\u0308ller", "new") == CustomerMapping("1", None)


def test_a_name_that_fits_several_things_lists_them() -> None:
    assert problem(HEADER + "customer,Acme,Meyer KG\n") == (
        "Line 2, column kimai: 'Meyer KG' fits 2 things: Meyer KG (id 31, number 0815), "
        "Meyer KG (id 32, number 0816, hidden); write ids instead of names, as in id:7."
    )


def test_a_long_list_is_cut_after_five() -> None:
    vocabulary = Vocabulary(source({}, dict.fromkeys(range(1, 13), "Twin")), TARGET)
    with pytest.raises(MappingError, match=r"fits 12 things: (Twin \(id \d\), ){4}Twin \(id 5\) and 7 more;"):
        vocabulary.mapping("customer", "twin", "new")


def test_a_number_that_is_one_thing_s_name_and_another_s_id_fits_both() -> None:
    with pytest.raises(MappingError, match=r"'20' fits 2 things: Support \(id 20\), 20 \(id 24\)"):
        mapping("activity", "-", "20")
    assert mapping("activity", "-", "id:20") == ActivityMapping(None, None, 20)


def test_an_at_sign_that_can_be_read_in_two_ways_is_refused() -> None:
    vocabulary = Vocabulary(source({1: "A", 2: "A@B"}, {3: "B"}), TARGET)
    with pytest.raises(MappingError, match=r"fits 2 things: A@B \(id 2\), A \(id 1\) @ B \(id 3\)"):
        vocabulary.mapping("activity", "A@B", "Support")


# What a bare number means

NUMBERED = target_directory(
    customers=(
        Customer(5, "Meyer KG", "0007", visible=True),
        Customer(6, "Meyer KG", "0008", visible=True),
        Customer(7, "Falsch AG", "0005", visible=True),
        Customer(12, "Echt AG", "12", visible=True),
        Customer(13, "4711", None, visible=True),
        Customer(40, "Vierzig AG", "0815", visible=True),
    )
)


@pytest.mark.parametrize(
    ("kimai", "customer"),
    [("0007", 5), ("0008", 6), ("id:7", 7), ("12", 12), ("40", 40), ("40,00", 40), ("40.0", 40), ("4711", 13)],
)
def test_a_bare_number_is_taken_where_it_can_mean_one_thing(kimai: str, customer: int) -> None:
    vocabulary = Vocabulary(SOURCE, NUMBERED)
    assert vocabulary.mapping("customer", "Acme", kimai) == CustomerMapping("7", customer)


@pytest.mark.parametrize(
    ("kimai", "told"),
    [
        ("7", "'7' fits 2 things: Falsch AG (id 7, number 0005), Meyer KG (id 5, number 0007); write ids"),
        ("5", "'5' fits 2 things: Meyer KG (id 5, number 0007), Falsch AG (id 7, number 0005); write ids"),
        ("8", "'8' may be Meyer KG (id 6, number 0008), but not to the letter; write id:6 if you mean that."),
        ("7,0", "'7,0' fits 2 things: Meyer KG (id 5, number 0007), Falsch AG (id 7, number 0005); write ids"),
        ("0040", "'0040' may be Vierzig AG (id 40, number 0815), but not to the letter; write id:40"),
    ],
)
def test_a_bare_number_that_could_be_meant_otherwise_is_refused(kimai: str, told: str) -> None:
    with pytest.raises(MappingError) as refused:
        read_mappings(f'{HEADER}customer,Acme,"{kimai}"\n'.encode(), Vocabulary(SOURCE, NUMBERED))
    assert str(refused.value).startswith(f"Line 2, column kimai: {told}")


# Agents


AGENTS = SourceDirectory(
    (
        Agent("3", "cora", "helpdesk@ex.de", "Cora", active=True),
        Agent("4", "carl", "helpdesk@ex.de", "Carl", active=True),
        Agent("5", "dlx", "", "Della X", active=False),
    ),
    (),
    (),
)


@pytest.mark.parametrize(
    ("zammad", "agent"), [("carl", "4"), ("dlx", "5"), ("della x", "5"), ("id:3", "3"), ("id:1", "1"), ("agent 1", "1")]
)
def test_an_agent_is_named_by_login_name_or_id_as_well(zammad: str, agent: str) -> None:
    assert Vocabulary(AGENTS, TARGET, unlisted=("1", "3")).mapping("user", zammad, "anna") == UserMapping(
        agent, ANNA.id
    )


def test_an_address_of_two_agents_means_neither() -> None:
    with pytest.raises(MappingError, match=r"fits 2 things: helpdesk@ex.de \(id 3\), helpdesk@ex.de \(id 4\)"):
        Vocabulary(AGENTS, TARGET).mapping("user", "helpdesk@ex.de", "anna")


def test_a_line_for_people_has_names_and_ids_only_where_names_fit_several() -> None:
    mappings = [
        ActivityMapping("3", "8", 22),
        UserMapping("1", BEN.id),
        CustomerMapping("0", 31),
        CustomerMapping("7", 30),
    ]
    assert [(line.zammad, line.kimai) for line in map(VOCABULARY.line, mappings)] == [
        ("Remote-Support@id:8", "id:22"),
        ("Anna@example.org", "ben"),
        ("-", "id:31"),
        ("Acme", "Acme"),
    ]
