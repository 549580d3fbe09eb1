"""The sign-in page as HTML: plain, usable without scripts, with a keyboard, and in the dark."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from starlette.responses import HTMLResponse

from zk_pipeline.operations.second_factor import Offer
from zk_pipeline.web.console.words import Language
from zk_pipeline.web.sign_in_words import word

_STYLE = """
:root { color-scheme: light dark; --back: #f3f4f6; --card: #fff; --text: #1f2430; --soft: #5b6270; --line: #8a91a0;
  --main: #1f5fbf; --on-main: #fff; --bad: #a31621; }
@media (prefers-color-scheme: dark) { :root { --back: #14161b; --card: #1e2128; --text: #eceef2; --soft: #a9b0bd;
  --line: #737b8a; --main: #8ab4f8; --on-main: #10131a; --bad: #ff9a9a; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--back);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 24rem; padding: 2rem; background: var(--card); border-radius: .75rem;
  box-shadow: 0 1px 4px rgb(0 0 0 / .2); }
h1 { margin: 0; font-size: 1.5rem; }
.lead { margin: 0 0 1.5rem; color: var(--soft); }
label { display: block; margin-bottom: 1rem; font-weight: 600; }
input { display: block; width: 100%; margin-top: .25rem; padding: .6rem .7rem; font: inherit; color: inherit;
  background: transparent; border: 1px solid var(--line); border-radius: .4rem; }
button, .button { display: block; width: 100%; padding: .7rem; font: inherit; font-weight: 600; text-align: center;
  text-decoration: none; color: var(--on-main); background: var(--main); border: 1px solid var(--main);
  border-radius: .4rem; cursor: pointer; }
.button { margin-top: 1rem; color: var(--main); background: transparent; }
:focus-visible { outline: 3px solid var(--main); outline-offset: 2px; }
code { font: 600 1rem/1.8 ui-monospace, monospace; overflow-wrap: anywhere; }
.picture { text-align: center; } .picture svg { max-width: 100%; height: auto; }
.codes { columns: 10rem; padding: 0; list-style: none; }
.bad { margin: 0 0 1rem; padding: .6rem .7rem; color: var(--bad); border: 1px solid var(--bad); border-radius: .4rem; }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class SignInForm:
    """What the page shows: `target` is where it leads, `provider` the name of the identity provider if there is one."""

    language: Language
    target: str
    provider: str = ""
    provider_address: str = ""
    email: str = ""
    problem: str = ""

    def response(self, status: int = 200) -> HTMLResponse:
        """The page."""
        return _page(self.language, self._body(), status)

    def _body(self) -> str:
        problem = f'<p class="bad" role="alert">{escape(self.problem)}</p>' if self.problem else ""
        return f"""<h1>{self._word("title")}</h1>
<p class="lead">zk_pipeline · {self._word("lead")}</p>
{problem}
<form method="post" action="/sign-in">
<input type="hidden" name="next" value="{escape(self.target)}">
<label>{self._word("email")}
<input name="email" type="email" value="{escape(self.email)}" autocomplete="username" maxlength="254" required
autofocus></label>
<label>{self._word("password")}
<input name="password" type="password" autocomplete="current-password" maxlength="200" required></label>
<button type="submit">{self._word("submit")}</button>
</form>
{self._provider()}"""

    def _provider(self) -> str:
        if not self.provider:
            return ""
        label = self._word("provider", name=self.provider)
        return f'<a class="button" href="{escape(self.provider_address)}">{label}</a>'

    def _word(self, key: str, **values: object) -> str:
        return escape(word(self.language, key, **values))


@dataclass(frozen=True, slots=True)
class CodeForm:
    """The second step of a sign-in: the code of an app or a recovery code. With an `offer`, the app gets it first."""

    language: Language
    target: str
    offer: Offer | None = None
    problem: str = ""
    recovery: bool = False

    def response(self, status: int = 200) -> HTMLResponse:
        """The page."""
        return _page(self.language, self._body(), status)

    def _body(self) -> str:
        problem = f'<p class="bad" role="alert">{escape(self.problem)}</p>' if self.problem else ""
        return f"""<h1>{self._word("title")}</h1>
<p class="lead">{self._word("enrol.lead" if self.offer else "code.lead")}</p>
{problem}
{self._offered()}
<form method="post" action="/sign-in/code">
<input type="hidden" name="next" value="{escape(self.target)}">
{self._field()}
<button type="submit">{self._word("code.submit")}</button>
</form>
{self._other_ways()}"""

    def _field(self) -> str:
        if self.recovery:
            return f"""<input type="hidden" name="recovery" value="yes">
<label>{self._word("code.recovery")}
<input name="code" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="40" required
autofocus></label>"""
        return f"""<label>{self._word("code")}
<input name="code" inputmode="numeric" autocomplete="one-time-code" maxlength="40" required autofocus></label>"""

    def _offered(self) -> str:
        if self.offer is None:
            return ""
        return f"""<p>{self._word("enrol.scan")}</p>
<p class="picture" role="img" aria-label="{self._word("enrol.picture")}">{self.offer.picture}</p>
<p>{self._word("enrol.key")} <code>{escape(self.offer.secret)}</code></p>"""

    def _other_ways(self) -> str:
        address = f"/sign-in/code?next={quote(self.target)}"
        other = "" if self.recovery else "&recovery=true"
        label = self._word("code.app" if self.recovery else "code.lost")
        link = "" if self.offer else f'<a class="button" href="{escape(address + other)}">{label}</a>'
        return (
            f'{link}<a class="button" href="/sign-in?next={escape(quote(self.target))}">{self._word("code.back")}</a>'
        )

    def _word(self, key: str) -> str:
        return escape(word(self.language, key))


@dataclass(frozen=True, slots=True)
class RecoveryCodes:
    """The recovery codes of somebody whose second factor was just set up, and the way on."""

    language: Language
    target: str
    codes: Sequence[str]

    def response(self) -> HTMLResponse:
        """The page."""
        rows = "".join(f"<li><code>{escape(code)}</code></li>" for code in self.codes)
        heading, lead, done = (escape(word(self.language, key)) for key in ("codes.title", "codes.lead", "codes.done"))
        return _page(
            self.language,
            f'<h1>{heading}</h1><p>{lead}</p><ul class="codes">{rows}</ul>'
            f'<a class="button" href="{escape(self.target)}" autofocus>{done}</a>',
        )


def onward(language: Language, target: str) -> HTMLResponse:
    """A page of ours that leads on by itself.

    A redirect would still count as the doing of the site that somebody came from, and bring no cookies of the strict
    kind.
    """
    going = escape(word(language, "onward"))
    link = escape(target)
    return _page(
        language, f'<p><a href="{link}">{going}</a></p>', head=f'<meta http-equiv="refresh" content="0;url={link}">'
    )


def _page(language: Language, body: str, status: int = 200, head: str = "") -> HTMLResponse:
    title = escape(word(language, "title"))
    text = f"""<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{head}<title>{title} · zk_pipeline</title>
<style>{_STYLE}</style>
</head>
<body><main>
{body}
</main></body>
</html>
"""
    return HTMLResponse(text, status, _HEADERS)
