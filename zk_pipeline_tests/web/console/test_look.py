"""How the pages look: on paper, in large text, with long names, in compact tables; and what their controls answer."""

import ast
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from zk_pipeline.identity.actors import Role
from zk_pipeline.languages import Language
from zk_pipeline.web.console import access, charts
from zk_pipeline.web.console.words import _ALL, Words
from zk_pipeline_tests.web.console.conftest import Visit
from zk_pipeline_tests.web.console.site import DESK, FIRST, PHONE, Site, overflow, zk

STYLES = (Path(access.__file__).parent / "assets" / "console.css").read_text(encoding="utf-8")
LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
ADDRESSES = ["/dashboard", "/reconcile", "/reconcile?view=all", "/statement", "/mappings", "/runs", "/audit", "/users"]
SETTINGS = ["/connectors", "/schedule", "/letterhead", "/alerts", "/privacy", "/health", "/account"]
TEXTS = """() => {
    const found = {}, walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const one = walker.currentNode.parentElement, isText = walker.currentNode.textContent.trim();
        if (!isText || !one.checkVisibility() || one.closest("script, style, svg")) continue;
        const style = getComputedStyle(one);
        found[`${one.tagName}.${one.className}`] = [parseFloat(style.fontSize), style.fontWeight];
    }
    return found;
}"""
"""Size and weight of each kind of text on the page."""


@pytest.fixture(scope="module")
def made(site: Site) -> None:
    """The month's statement is made, by the command."""
    zk(Path(site.variables["ZK_HOME"]), site.variables, "statement", FIRST[:7])


@pytest.fixture
def long_names(site: Site) -> Iterator[None]:
    """All tickets and customers have a name of eighty letters."""
    assert len(LONG) == 80
    with site.database.transaction() as connection:
        connection.execute(text("CREATE TABLE sync.put_aside AS SELECT * FROM sync.normalized_entries"))
        connection.execute(
            text("UPDATE sync.normalized_entries SET ticket_title = :name, organization_name = :name"), {"name": LONG}
        )
    yield
    with site.database.transaction() as connection:
        connection.execute(
            text(
                "UPDATE sync.normalized_entries e SET ticket_title = o.ticket_title,"
                " organization_name = o.organization_name FROM sync.put_aside o WHERE o.source_id = e.source_id"
            )
        )
        connection.execute(text("DROP TABLE sync.put_aside"))


def style_of(page: Page, selector: str, name: str) -> str:
    return page.locator(selector).first.evaluate("(one, name) => getComputedStyle(one)[name]", name)


@pytest.mark.usefixtures("made")
def test_a_statement_is_printed_black_on_white_without_controls_and_with_whole_tables(visit: Visit, site: Site):
    visitor = visit(Role.OPERATOR)
    visitor.context.add_cookies([{"name": "zk_theme", "value": "dark", "url": site.url}])
    page = visitor.open("/statement")
    table = page.get_by_role("table", name="Customers")
    expect(table).to_be_visible()
    page.emulate_media(media="print")
    for hidden in (".zk-nav", ".zk-top", ".zk-filters", ".zk-button", ".zk-icon-button"):
        assert page.locator(hidden).first.is_hidden(), hidden
    expect(table).to_be_visible()
    assert all(row.is_visible() for row in table.get_by_role("row").all())
    assert table.get_by_role("row").nth(1).inner_text().strip(), "the customer's name is a button, and is printed"
    assert style_of(page, "#statement thead", "display") == "table-header-group"
    assert style_of(page, "#statement tbody tr", "breakInside") == "avoid"
    assert style_of(page, "#statement tbody td", "color") == "rgb(0, 0, 0)"
    assert style_of(page, "#statement .zk-card:has(.zk-table)", "backgroundColor") == "rgb(255, 255, 255)"
    assert style_of(page, "#statement .zk-table-box", "overflowX") == "visible"


@pytest.mark.usefixtures("made")
def test_of_a_customer_that_is_open_the_dialog_is_printed_whole(visit: Visit):
    page = visit(Role.OPERATOR).open("/statement")
    page.get_by_role("table", name="Customers").get_by_role("button").first.click()
    lines = page.get_by_role("dialog").get_by_role("table", name="Agents and activities")
    expect(lines).to_be_visible()
    page.emulate_media(media="print")
    expect(lines).to_be_visible()
    assert page.get_by_role("table", name="Customers").is_hidden()
    assert style_of(page, ".zk-dialog", "maxHeight") == "none"
    assert style_of(page, ".zk-dialog-body", "overflowY") == "visible"


@pytest.mark.parametrize(
    ("locale", "first", "last"),
    [
        ("en-GB", "First page", "Last page"),
        ("de-DE", "Erste Seite", "Letzte Seite"),
        ("fr-FR", "Première page", "Dernière page"),
    ],
)
def test_lists_lead_to_their_first_and_last_page(visit: Visit, site: Site, locale: str, first: str, last: str):
    total = site.value("SELECT count(*) FROM sync.normalized_entries")
    assert total > 20
    page = visit(Role.VIEWER, locale=locale).open("/reconcile?view=all")
    to_first, to_last = (page.get_by_role("button", name=name, exact=True) for name in (first, last))
    expect(to_first).to_be_disabled()
    to_last.click()
    expect(to_last).to_be_disabled()
    expect(page.locator(".zk-pager")).to_contain_text(f"\N{EN DASH}{total} ")
    to_first.click()
    expect(page.locator(".zk-pager")).to_contain_text("1\N{EN DASH}20")
    expect(to_first).to_be_disabled()


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("address", ADDRESSES)
def test_text_of_twice_the_size_is_that_and_pushes_no_page_aside(visit: Visit, address: str, width: int):
    page = visit(Role.ADMIN, width=width).open(address)
    before = page.evaluate(TEXTS)
    assert {weight for _, weight in before.values()} <= {"400", "600"}
    page.evaluate("document.documentElement.style.fontSize = '32px'")
    after = page.evaluate(TEXTS)
    small = {name: size for name, (size, _) in after.items() if name in before and size < 1.99 * before[name][0]}
    on_phone = {name for name in small if width == PHONE and "q-icon" in name}  # They keep to the width of the top bar.
    assert small.keys() - on_phone == set()
    assert overflow(page) <= 0


@pytest.mark.usefixtures("long_names")
@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("address", ["/dashboard", "/reconcile", "/reconcile?view=all", "/audit"])
def test_a_name_of_eighty_letters_is_broken_and_pushes_nothing_aside(visit: Visit, address: str, width: int):
    page = visit(Role.VIEWER, width=width).open(address)
    assert overflow(page) <= 0
    boxes = page.locator(".zk-table-box:visible")
    assert boxes.evaluate_all("all => all.filter(one => one.scrollWidth > one.clientWidth).length") == 0


CUT_OFF = """() => [...document.querySelectorAll('.zk-table-box')]
    .filter(box => box.checkVisibility() && box.scrollWidth > box.clientWidth + 1)
    .map(box => box.querySelector('caption').textContent)"""
HEADS = "() => [...document.querySelectorAll('.zk-table th')].filter(one => one.checkVisibility()).length"
MOVING = """() => [...document.querySelectorAll('*')].flatMap(one => ['', '::before', '::after'].map(part => {
    const style = getComputedStyle(one, part || null);
    const rests = style.animationName === 'none' && style.transitionDuration.split(', ').every(time => time === '0s');
    return rests ? '' : `${one.tagName}.${one.className}${part}`;
})).filter(Boolean)"""


BROKEN = r"""() => [...document.querySelectorAll('.zk-table td')].filter(one => one.checkVisibility()).flatMap(cell => {
    const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), range = document.createRange(), broken = [];
    while (walker.nextNode()) {
        for (const word of walker.currentNode.textContent.matchAll(/\d\d\.\d\d\.\d{4}|\d+.h.\d\d/g)) {
            range.setStart(walker.currentNode, word.index);
            range.setEnd(walker.currentNode, word.index + word[0].length);
            if (new Set([...range.getClientRects()].map(box => box.top)).size > 1) broken.push(word[0]);
        }
    }
    return broken;
})"""
"""Days and amounts in tables that are broken into two lines."""


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("address", ["/statement", "/mappings", "/runs", "/audit", "/users"])
def test_no_day_and_no_amount_in_a_table_is_broken(visit: Visit, address: str):
    page = visit(Role.ADMIN, width=1920, locale="de-DE").open(address)
    expect(page.locator(".zk-table td").first).to_be_visible()
    for width in (1920, 1440, 1024, 860, 360):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(f"({CUT_OFF})().length === 0", timeout=60_000)
        assert page.evaluate(BROKEN) == [], width
        assert overflow(page) <= 0, width


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("address", ["/reconcile?view=all", "/statement", "/mappings", "/runs", "/audit"])
def test_tables_keep_their_columns_at_every_width(visit: Visit, address: str):
    page = visit(Role.ADMIN, width=1920).open(address)
    expect(page.locator(".zk-table td").first).to_be_visible()
    heads = page.evaluate(HEADS)
    for width in (1920, 1440, 1024, 768, 360):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(HEADS) == heads
        # The menu comes and goes with the width, after which the tables have their place.
        page.wait_for_function(f"({CUT_OFF})().length === 0", timeout=60_000)
        assert overflow(page) <= 0, width


@pytest.mark.parametrize("address", ["/dashboard", "/reconcile"])
def test_nothing_moves_for_whoever_wants_less_motion(visit: Visit, address: str):
    page = visit(Role.ADMIN).open(address)
    assert page.evaluate("matchMedia('(prefers-reduced-motion: reduce)').matches")
    assert page.evaluate(MOVING) == []


def test_the_styles_have_two_weights_and_no_sizes_of_text_in_pixels():
    weights = set(re.findall(r"font(?:-weight)?: (\d{3})\b", STYLES))
    assert weights == {"400", "600"}
    assert re.findall(r"(?:font(?:-size)?|gap|padding|margin)[\w-]*: [^;]*?\b(?!1px)\d+px", STYLES) == []


COLOURS = """() => {
    const probe = document.body.appendChild(document.createElement("i"));
    const colours = names => new Map(names.map(name => {
        probe.style.color = `var(--zk-${name})`;
        return [getComputedStyle(probe).color, name];
    }));
    const plain = colours(["ground", "surface", "raised", "line", "line-strong", "ink", "soft"]);
    const accent = colours(["accent", "accent-ink", "accent-soft", "link"]);
    const states = colours(["good", "good-soft", "warn", "warn-soft", "bad", "bad-soft"]);
    probe.remove();
    const ofState = `.zk-chip, .zk-status, .zk-note, .zk-banner, .zk-count, .zk-under-way, .zk-step, .zk-failed,
        .zk-danger`;
    const ofCharts = "svg, script, style, .zk-chart, .zk-legend, .zk-shares, .zk-dot";
    const found = [];
    for (const one of document.querySelectorAll("body *")) {
        if (!one.checkVisibility() || one.closest(ofCharts)) continue;
        const style = getComputedStyle(one);
        const says = [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
        const worn = [says ? style.color : "", style.backgroundColor];
        if (parseFloat(style.borderTopWidth)) worn.push(style.borderTopColor);
        const isGrey = colour => new Set(colour.match(/\\d+/g)).size === 1;
        for (const colour of worn.filter(each => each.startsWith("rgb(") && !isGrey(each))) {
            if (plain.has(colour) || accent.has(colour) || (states.has(colour) && one.closest(ofState))) continue;
            found.push(`${one.tagName}.${one.className}: ${states.get(colour) || colour}`);
        }
    }
    return [...new Set(found)];
}"""
"""What wears a colour that is neither the accent's nor a shade of grey, and is no state; charts have their own hues."""


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("address", [*ADDRESSES, *SETTINGS])
def test_there_is_one_accent_and_else_only_states_have_a_colour(visit: Visit, address: str, dark: bool):
    page = visit(Role.ADMIN).open(address)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    page.evaluate(
        """dark => {
            document.body.classList.toggle("body--dark", dark);
            document.body.classList.toggle("body--light", !dark);
        }""",
        dark,
    )
    assert "\n".join(page.evaluate(COLOURS)) == ""


@pytest.mark.parametrize(("locale", "loading"), [("en-GB", "Loading"), ("de-DE", "Wird geladen")])
def test_what_loads_says_so_until_it_is_there(visit: Visit, site: Site, locale: str, loading: str):
    page = visit(Role.VIEWER, locale=locale).page
    with site.database.transaction() as connection:
        connection.execute(text("LOCK TABLE sync.normalized_entries IN ACCESS EXCLUSIVE MODE"))
        page.goto(f"{site.url}/dashboard")
        panel = page.locator("#dashboard .zk-panel[aria-busy=true]").first
        expect(panel.get_by_role("status")).to_contain_text(loading)
        expect(panel.locator(".zk-skeleton-line")).to_have_count(3)
    expect(page.locator("#dashboard [aria-busy=true]")).to_have_count(0)
    expect(page.locator("#dashboard .zk-status")).to_be_visible()


NAMES_OF_THE_MENU = """all => all.map(one => {
    const name = one.querySelector(':scope > span');
    return [name.getBoundingClientRect().height, getComputedStyle(name).fontWeight];
})"""


@pytest.mark.parametrize("locale", ["en-GB", "de-DE", "fr-FR"])
def test_the_chosen_section_of_the_menu_keeps_to_one_line(visit: Visit, locale: str):
    page = visit(Role.ADMIN, locale=locale).open("/mappings")
    links = page.locator(".zk-nav a")
    expect(page.locator(".zk-nav a[aria-current]")).to_have_attribute("data-section", "mappings")
    assert len({(height, weight) for height, weight in links.evaluate_all(NAMES_OF_THE_MENU)}) == 1


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("address", [*ADDRESSES, *SETTINGS])
def test_days_are_written_for_people(visit: Visit, address: str):
    page = visit(Role.ADMIN).open(address)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert re.findall(r"\b\d{4}-\d\d-\d\d\b", page.locator("body").inner_text()) == []


def test_rows_of_lists_have_36_pixels_and_their_names_the_direction_of_their_letters(visit: Visit):
    page = visit(Role.VIEWER).open("/reconcile?view=all")
    rows = page.locator(".zk-table tbody tr")
    expect(rows).to_have_count(20)
    tall = rows.evaluate_all("all => all.map(one => Math.round(one.getBoundingClientRect().height))")
    assert set(tall) <= {36, 37}
    assert rows.first.locator(".zk-open").get_attribute("dir") == "auto"
    assert rows.first.get_by_role("cell").nth(2).get_attribute("dir") == "auto"


def test_opening_a_row_and_turning_a_page_answer_the_click_at_once(visit: Visit):
    page = visit(Role.VIEWER).open("/reconcile?view=all")
    for button in (page.locator(".zk-table .zk-open").first, page.get_by_role("button", name="Next page")):
        classes = button.evaluate("button => { button.click(); return button.className; }")
        assert "zk-pressed" in classes


@pytest.mark.parametrize(
    ("language", "written"), [(Language.ENGLISH, "1 Oct"), (Language.GERMAN, "01.10."), (Language.FRENCH, "01/10")]
)
def test_the_axis_of_a_chart_has_days_as_the_language_writes_them(language: Language, written: str):
    assert charts.short(Words(language, ZoneInfo("Europe/Berlin")), date(2025, 10, 1)) == written


TITLED_OTHERWISE = {
    "audit.py:_open": "Time sheet created",
    "feedback.py:confirm": "Deactivate: nina@example.com",
    "mappings/forms.py:choose": "Map ",
    "statement/sheet.py:open_dialog": "CUSTOMER",
}
"""Dialogs whose title is not a text of the console, and the name by which a test looks at each."""


def test_axe_looks_into_every_dialog():
    looked_at = names_looked_at()
    missing: list[str] = []
    for place, title in dialogs():
        pattern = re.escape(TITLED_OTHERWISE[place]) if title is None else title
        if not any(re.match(pattern, name) for name in looked_at):
            missing.append(f"{place}: no test has axe look into it by `accessible`.")
    assert missing == []


def dialogs() -> Iterator[tuple[str, str | None]]:
    """Each place where a dialog is made, and a pattern of its English title, if that is a text of the console."""
    console = Path(access.__file__).parent
    for file in sorted(console.rglob("*.py")):
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "widgets.dialog":
                    yield f"{file.relative_to(console)}:{function.name}", title_of(call.args[0])


def title_of(argument: ast.expr) -> str | None:
    keys = [
        constant.value
        for called in ast.walk(argument)
        if isinstance(called, ast.Call) and ast.unparse(called.func).endswith("words")
        for constant in ast.walk(called.args[0])
        if isinstance(constant, ast.Constant)
    ]
    texts = [english for key, (english, *_) in _ALL.items() if keys and key.startswith(keys[0])]
    patterns = [re.escape(text.partition("{")[0].strip()) for text in texts]
    return "|".join(patterns) or None


def names_looked_at() -> set[str]:
    """The names of the dialogs that tests have axe look into; of a composed one its parts."""
    found: set[str] = set()
    for file in Path(__file__).parent.glob("test_*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "accessible":
                parts = list(ast.walk(call.args[1]))
                found |= {str(part.value) for part in parts if isinstance(part, ast.Constant)}
                found |= {part.id for part in parts if isinstance(part, ast.Name)}
    return found
