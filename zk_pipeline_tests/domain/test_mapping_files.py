"""Mapping files: what they may look like, what is refused, and that an export is its own import."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zk_pipeline.decisions.mapping_files import SIZE_LIMIT, read_mappings, write_mappings
from zk_pipeline.domain.mapping_lines import (
    ActivityMapping,
    AnyMapping,
    CustomerMapping,
    MappingError,
    UserMapping,
    Vocabulary,
)
from zk_pipeline.domain.people import Address
from zk_pipeline.domain.records import Activity, Customer
from zk_pipeline.domain.spreadsheets import CsvFormat
from zk_pipeline_tests.domain.builders import ANNA, BEN, target_directory
from zk_pipeline_tests.domain.test_mapping_lines import HEADER, NUMBERED, TARGET, VOCABULARY, problem, source


def read(text: str) -> list[AnyMapping]:
    return read_mappings(text.encode(), VOCABULARY)


# What is refused


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "activity,Remote-Suport,Support",
            "column zammad: no activity type in Zammad fits 'Remote-Suport'; the nearest: Remote-Support",
        ),
        (
            "activity,Remote-Support@Acne,Support",
            "column zammad: no organization in Zammad fits 'Acne'; the nearest: Acme",
        ),
        ("activity,-,Consultin", "column kimai: no activity in Kimai fits 'Consultin'; the nearest: Consulting"),
        ("activity,-,-", "column kimai: no activity in Kimai fits '-'"),
        ("user,ana@example.org,anna", "no agent in Zammad fits 'ana@example.org'; the nearest: Anna@example"),
        ("user,ben@example.org,bem", "column kimai: no user in Kimai fits 'bem'; the nearest: ben"),
        ("user,ben@example.org,new", "column kimai: no user in Kimai fits 'new'"),
        ("customer,Acne,new", "column zammad: no organization in Zammad fits 'Acne'; the nearest: Acme"),
        ("customer,Acme,99", "column kimai: no customer in Kimai fits '99'"),
        ("project,Acme,99", "column kind: 'project' is not a kind; write one of activity, user, customer."),
        ("activity,,Support", "column zammad: the value is missing"),
        ("activity,Support", "columns: there are 2 instead of 3"),
        ("activity,Smith, Jones,Support", "columns: there are 4 instead of 3"),
        ('activity,-,"Support', "quotes: "),
        (f"activity,{'@' * 100_000},Support", "is longer than any name"),
    ],
)
def test_a_bad_line_is_named_with_its_value_and_the_remedy(line: str, expected: str) -> None:
    sentence = problem(f"{HEADER}\n# a comment\n{line}\n")
    assert sentence.startswith("Line 4, ")
    assert expected in sentence
    assert len(sentence) < 300


def test_all_bad_lines_are_listed() -> None:
    text = HEADER + "user,nobody,anna\nuser,ben@example.org,anna\nactivity,-,nothing\n"
    assert [line[:7] for line in problem(text).splitlines()] == ["Line 2,", "Line 4,"]


def test_the_same_key_with_two_targets_names_both_lines() -> None:
    text = HEADER + "activity,3,Support\nactivity,-,Support\nactivity,Remote-Support,Consulting\n"
    assert problem(text) == "Lines 2 and 4 map 'Remote-Support' differently: keep one of them."


def test_the_same_mapping_twice_counts_once() -> None:
    assert read(HEADER + "activity,3,Support\nactivity,remote-support,id:20\n") == [ActivityMapping("3", None, 20)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "The file is empty"),
        (b"\xef\xbb\xbf \r\n", "The file is empty"),
        (b"# nothing\n", "nothing but comments"),
        (b"activity,-,Support\n", "Line 1 must be the header kind,zammad,kimai but is 'activity,-,Support'"),
        (b"kind,zammad\n", "Line 1 must be the header"),
        (b"kind;zammad,kimai\n", "Line 1 must be the header"),
        (b"kind,zammad,kimai\nuser,M\xfcller,anna\n", "The file is not UTF-8 in line 2"),
        ("kind,zammad\n".encode("utf-16"), "Line 1 must be the header"),
        (b"\xff\xfek\x00i", "The file is not UTF-8 in line 1"),
        (b"#" * (SIZE_LIMIT + 1), "this one is larger than 5 MB"),
    ],
)
def test_a_file_that_is_no_list_of_mappings_gets_one_sentence(content: bytes, expected: str) -> None:
    sentence = problem(content)
    assert expected in sentence
    assert "\n" not in sentence


# What a file may look like


@pytest.mark.parametrize(
    "text",
    [
        "kind,zammad,kimai\nactivity,-,Support\nuser,ben@example.org,anna\n",
        "\ufeffkind,zammad,kimai\r\nactivity,-,Support\r\nuser,ben@example.org,anna\r\n",
        "kind;zammad;kimai\nactivity;-;Support\n;;\nuser;ben@example.org;anna",
        '# first\n\nKind , Zammad, KIMAI\n"activity", "-", "Support"\n# a "half\n"# done",,\nUSER,ben@example.org,anna',
        "kind,zammad,kimai\ractivity,-,Support\ruser,ben@example.org,anna\r",
        "sep=;\nkind;zammad;kimai\nactivity;-;Support\nuser;ben@example.org;anna\n",
        '"sep=,"\nkind,zammad,kimai\nactivity,-,Support\nuser,ben@example.org,anna\n',
        "\ufeffsep=\t\nkind\tzammad\tkimai\nactivity\t-\tSupport\nuser\tben@example.org\tanna\n",
        "kind\tzammad\tkimai\nactivity\t-\tSupport\nuser\tben@example.org\tanna\n",
        "kind;zammad;kimai;;\nactivity;-;Support;;\n;;;;\nuser;ben@example.org;anna;;;\n",
        "kind;zammad;kimai\nactivity;-;Support\nuser;2,0;10,00\n",
    ],
)
def test_spreadsheets_and_editors_may_write_it_their_way(text: str) -> None:
    assert read(text) == [ActivityMapping(None, None, 20), UserMapping("2", ANNA.id)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_the_encodings_of_spreadsheets_are_read(encoding: str) -> None:
    vocabulary = Vocabulary(source({}, {1: "M\u00fcller & S\u00f6hne"}), TARGET)
    text = "kind\tzammad\tkimai\t\r\ncustomer\tM\u00fcller & S\u00f6hne\tnew\t\r\n"
    assert read_mappings(text.encode(encoding), vocabulary) == [CustomerMapping("1", None)]


def test_an_export_survives_a_spreadsheet_that_drops_zeros() -> None:
    vocabulary = Vocabulary(source({}, {1: "M\u00fcller & S\u00f6hne"}), NUMBERED)
    text = write_mappings([CustomerMapping("1", 5)], vocabulary, CsvFormat.EXCEL)
    assert (
        text == "\ufeffkind;zammad;kimai;zammad_name;kimai_name\ncustomer;id:1;id:5;M\u00fcller & S\u00f6hne;Meyer KG\n"
    )
    assert read_mappings(text.encode(), vocabulary) == [CustomerMapping("1", 5)]


def test_an_id_that_is_called_otherwise_here_is_refused() -> None:
    text = "kind,zammad,kimai,zammad_name,kimai_name\ncustomer,id:7,id:30,Acme,Bolt GmbH\ncustomer,id:8,new,,\n"
    assert problem(text) == (
        "Line 2, column kimai_name: 'Bolt GmbH' is not what id:30 is called here ('Acme'); "
        "correct the column kimai, or leave this one empty."
    )


def test_a_value_may_hold_the_delimiter_in_quotes() -> None:
    vocabulary = Vocabulary(source({}, {1: 'Smith, "Jones" & Co'}), TARGET)
    text = HEADER + 'customer,"Smith, ""Jones"" & Co",new\n'
    assert read_mappings(text.encode(), vocabulary) == [CustomerMapping("1", None)]


# Export


def test_an_export_has_ids_and_the_names_beside_them() -> None:
    mappings = [
        ActivityMapping(None, None, 20),
        ActivityMapping("3", "8", 22),
        UserMapping("1", BEN.id),
        CustomerMapping("0", 31),
        CustomerMapping("9", None),
    ]
    assert write_mappings(mappings, VOCABULARY).splitlines() == [
        "kind,zammad,kimai,zammad_name,kimai_name",
        "activity,-,id:20,(no type),Support",
        "activity,id:3@id:8,id:22,Remote-Support @ Meyer KG,Travel",
        "user,id:1,id:11,Anna@example.org,ben",
        "customer,-,id:31,(no organization),Meyer KG",
        "customer,id:9,new,Meyer KG,(a customer of its own)",
    ]


def test_what_is_gone_is_exported_as_a_comment_that_import_skips() -> None:
    mappings = [
        ActivityMapping("3", None, 99),
        ActivityMapping("98", "97", 20),
        UserMapping(Address("gone@example.org"), 99),
        CustomerMapping("99", 30),
    ]
    text = write_mappings(mappings, VOCABULARY)
    assert text.splitlines()[1:] == [
        "# gone: activity,id:3,id:99,Remote-Support,",
        "# gone: activity,id:98@id:97,id:20,'@,Support",
        "# gone: user,gone@example.org,id:99,gone@example.org,",
        "# gone: customer,id:99,id:30,,Acme",
    ]
    assert read(text) == []


@pytest.mark.parametrize("dialect", CsvFormat)
@pytest.mark.parametrize("name", ["=1+1", "+49 30", "-1", "@home", "'=1", "-@-", "x;=1+1+cmd|' /C calc'!A0"])
def test_no_exported_value_runs_as_a_formula(name: str, dialect: CsvFormat) -> None:
    vocabulary = Vocabulary(source({1: name}, {1: name}), TARGET)
    mappings = [ActivityMapping("1", None, 21), ActivityMapping(None, "1", 21), CustomerMapping("1", 30)]
    text = write_mappings(mappings, vocabulary, dialect)
    values = [value for line in text.splitlines() for value in re.split(f"[{dialect.delimiter};\t]", line)]
    assert [value for value in values if value.lstrip('"')[:1] in ("=", "+", "@", "\t") or value[:2] == "-@"] == []
    assert read_mappings(text.encode(), vocabulary) == mappings


def test_the_lone_dash_stays_a_dash() -> None:
    assert "activity,-,id:20" in write_mappings([ActivityMapping(None, None, 20)], VOCABULARY)


def _names() -> st.SearchStrategy[str]:
    awkward = st.text(st.sampled_from("aAbä17@-='#,;\"\t\n \ufeff:"), max_size=5)
    reserved = st.sampled_from(("-", "new", "id:1", "id:1@id:2", "-@1", "1@2", "'-", "=a", "1", "2", "A@B"))
    return awkward | reserved | st.text(max_size=8)


@st.composite
def _worlds(draw: st.DrawFn) -> tuple[Vocabulary, list[AnyMapping]]:
    ids = st.integers(1, 9)
    named = st.dictionaries(ids, _names(), min_size=1, max_size=6)
    types, organizations, activities, customers = draw(named), draw(named), draw(named), draw(named)
    addresses = st.text(st.sampled_from("aAb1@-+='#."), min_size=1, max_size=5)
    emails = tuple(draw(st.lists(addresses, unique_by=str.casefold, min_size=1, max_size=4)))
    numbers = draw(st.lists(st.none() | _names(), min_size=9, max_size=9))
    target = target_directory(
        activities=tuple(Activity(id_, name, None, None, visible=True) for id_, name in activities.items()),
        customers=tuple(Customer(id_, name, numbers[id_ - 1], visible=True) for id_, name in customers.items()),
        users=tuple(replace(ANNA, id=id_, username=draw(_names()), email=draw(_names())) for id_ in draw(st.sets(ids))),
    )
    mappings: st.SearchStrategy[AnyMapping] = st.builds(
        ActivityMapping,
        st.sampled_from([None, *map(str, types)]),
        st.sampled_from([None, *map(str, organizations)]),
        st.sampled_from([*activities]),
    ) | st.builds(
        CustomerMapping, st.sampled_from(["0", *map(str, organizations)]), st.sampled_from([None, *customers])
    )
    if target.users:
        keys = st.integers(1, len(emails)).map(str)
        mappings |= st.builds(UserMapping, keys, st.sampled_from([user.id for user in target.users]))
    chosen = draw(st.lists(mappings, unique_by=lambda row: row.key))
    return Vocabulary(source(types, organizations, emails), target), chosen


@given(_worlds(), st.sampled_from(CsvFormat))
def test_an_export_read_again_is_the_same_mappings(
    world: tuple[Vocabulary, list[AnyMapping]], dialect: CsvFormat
) -> None:
    vocabulary, mappings = world
    assert read_mappings(write_mappings(mappings, vocabulary, dialect).encode(), vocabulary) == mappings


@given(_worlds())
def test_a_line_for_people_read_again_is_the_same_mapping(world: tuple[Vocabulary, list[AnyMapping]]) -> None:
    vocabulary, mappings = world
    lines = [vocabulary.line(mapping) for mapping in mappings]
    assert [vocabulary.mapping(line.kind, line.zammad, line.kimai) for line in lines] == mappings


def _read_or_refused(content: bytes) -> tuple[list[AnyMapping], list[str]]:
    """The mappings of a file, or what is said about each wrong line of it."""
    try:
        return read_mappings(content, VOCABULARY), []
    except MappingError as error:
        return [], [problem.text for problem in error.problems]


_FILES = st.lists(st.lists(_names(), max_size=4).map(",".join)).map(
    lambda lines: "\n".join(["kind,zammad,kimai", *lines]).encode()
)


@given(content=st.binary() | st.text().map(str.encode) | _FILES)
def test_any_file_is_read_or_refused_with_a_sentence_for_each_wrong_line(content: bytes) -> None:
    mappings, told = _read_or_refused(content)
    assert len({row.key for row in mappings}) == len(mappings)
    assert [sentence for sentence in told if not sentence.endswith(".")] == []
