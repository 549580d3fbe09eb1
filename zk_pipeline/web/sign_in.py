"""How browsers sign in and out: the page with its form and texts, and the renewal of a session."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Depends, Form, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from zk_pipeline.identity import second_factor, sign_in
from zk_pipeline.identity.actors import SignInError
from zk_pipeline.identity.second_factor import Enrolment
from zk_pipeline.identity.sign_in import SecondStepError, SessionOverError
from zk_pipeline.identity.throttle import ThrottledError
from zk_pipeline.languages import Language
from zk_pipeline.runtime.runtime import Runtime
from zk_pipeline.runtime.settings import Settings
from zk_pipeline.web import authentication
from zk_pipeline.web.api.common import Ready
from zk_pipeline.web.authentication import Recognizing, refuse_token_in_url
from zk_pipeline.web.console.words import chosen

# The texts of the sign-in page: English, German, French.

WORDS: Mapping[str, tuple[str, str, str]] = {
    "title": ("Sign in", "Anmelden", "Connexion"),
    "lead": (
        "Zammad's time accountings in Kimai",
        "Die Zeiterfassung aus Zammad in Kimai",
        "Les temps de Zammad dans Kimai",
    ),
    "email": ("E-mail", "E-Mail", "E-mail"),
    "password": ("Password", "Passwort", "Mot de passe"),
    "submit": ("Sign in", "Anmelden", "Se connecter"),
    "provider": ("Sign in with {name}", "Mit {name} anmelden", "Se connecter avec {name}"),
    "wrong": (
        "E-mail or password is wrong. Try again, or ask an admin for a new password.",
        "E-Mail oder Passwort ist falsch. Noch ein Versuch? Ein neues Passwort gibt es bei einem Admin.",
        "L'e-mail ou le mot de passe est faux. Réessayez ou demandez un nouveau mot de passe à un admin.",
    ),
    "throttled": (
        "There were too many failed sign-ins. Try again in {seconds} seconds.",
        "Es gab zu viele fehlgeschlagene Anmeldungen. Versuchen Sie es in {seconds} Sekunden noch einmal.",
        "Il y a eu trop de connexions refusées. Réessayez dans {seconds} secondes.",
    ),
    "code.lead": ("The second step", "Der zweite Schritt", "La deuxième étape"),
    "code": ("Code from your app", "Code Ihrer App", "Code de votre application"),
    "code.recovery": ("Recovery code", "Ersatzcode", "Code de secours"),
    "code.submit": ("Continue", "Weiter", "Continuer"),
    "code.lost": ("Use a recovery code", "Ersatzcode verwenden", "Utiliser un code de secours"),
    "code.app": ("Use the code from your app", "Code der App verwenden", "Utiliser le code de l'application"),
    "code.back": ("Sign in as somebody else", "Als jemand anderes anmelden", "Se connecter autrement"),
    "code.wrong": (
        "The code is wrong, or was used before. Type the one that the app shows now.",
        "Der Code ist falsch oder wurde schon verwendet. Geben Sie den ein, den die App jetzt zeigt.",
        "Le code est faux ou a déjà servi. Saisissez celui que l'application affiche maintenant.",
    ),
    "enrol.lead": (
        "Set up a second factor: a code from an app, besides the password.",
        "Richten Sie einen zweiten Faktor ein: den Code einer App, neben dem Passwort.",
        "Configurez un second facteur : le code d'une application, en plus du mot de passe.",
    ),
    "enrol.scan": (
        "Scan this picture with an authenticator app, or type the key into it. Then type the code that it shows.",
        "Scannen Sie das Bild mit einer Authenticator-App, oder geben Sie dort den Schlüssel ein, dann hier den Code.",
        "Scannez cette image avec une application d'authentification ou saisissez-y la clé, puis le code affiché.",
    ),
    "enrol.picture": ("QR code of the key", "QR-Code des Schlüssels", "Code QR de la clé"),
    "enrol.key": ("Key:", "Schlüssel:", "Clé :"),
    "codes.title": ("Recovery codes", "Ersatzcodes", "Codes de secours"),
    "codes.lead": (
        "Keep them where nobody else finds them. If you lose the app, each lets you in once. They are shown only now.",
        "Bewahren Sie sie sicher auf. Ohne die App lässt jeder Sie einmal hinein. Sie werden nur jetzt gezeigt.",
        "Gardez-les en lieu sûr. Sans l'application, chacun sert une fois. Ils ne sont affichés que maintenant.",
    ),
    "codes.done": ("I have kept them", "Ich habe sie aufbewahrt", "Je les ai gardés"),
    "onward": ("Continuing …", "Es geht weiter …", "On continue …"),
}


def word(language: Language, key: str, **values: object) -> str:
    """The text under this key with the values in it."""
    return WORDS[key][tuple(Language).index(language)].format(**values)


# The sign-in page as HTML: plain, usable without scripts, with a keyboard, and in the dark.

_STYLE = """
:root { color-scheme: light dark; --back: #f3f4f6; --card: #fff; --text: #1f2430; --soft: #5b6270; --line: #8a91a0;
  --main: #1f5fbf; --on-main: #fff; --bad: #a31621; }
@media (prefers-color-scheme: dark) { :root { --back: #14161b; --card: #1e2128; --text: #eceef2; --soft: #a9b0bd;
  --line: #737b8a; --main: #8ab4f8; --on-main: #10131a; --bad: #ff9a9a; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: min(1rem, 4vw);
  grid-template-columns: minmax(0, 1fr); overflow-wrap: anywhere; background: var(--back);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { width: 100%; max-width: 24rem; padding: min(2rem, 7vw); background: var(--card); border-radius: .75rem;
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
    offer: Enrolment | None = None
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
    """A page that leads on by itself.

    After a redirect, browsers would count the request as another site's and send no strict cookies.
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


# How browsers sign in and out: a page with a form, and the renewal of a session when a page is loaded.

PATH, CODE, OUT, RENEWAL = "/sign-in", "/sign-in/code", "/sign-out", "/renew"

router = APIRouter(dependencies=[Depends(refuse_token_in_url)], include_in_schema=False)

Typed = Annotated[str, Form(max_length=4096)]


@router.get(PATH)
def show(
    request: Request,
    ready: Ready,
    known: Recognizing,
    next: str = "/",  # noqa: A002 (the name in addresses)
    *,
    again: bool = False,
) -> Response:
    """The form, or straight on for somebody who is signed in.

    Who follows a link from another site brings no cookie, and gets it sent by coming `again` from a page of ours.
    """
    target = local_target(next)
    try:
        known.session_of(request)
    except SessionOverError:
        if request.headers.get("sec-fetch-site") in {"cross-site", "same-site"} and not again:
            return onward(language_of(request), f"{PATH}?next={quote(target)}&again=true")
        return form(request, ready.settings, next).response()
    return RedirectResponse(target, 303)


@router.post(PATH)
def enter(
    request: Request,
    ready: Ready,
    known: Recognizing,
    email: Typed = "",
    password: Typed = "",
    next: Typed = "/",  # noqa: A002 (the name in addresses)
) -> Response:
    """Begin a session and go on, or show the form again with what was wrong."""
    authentication.require_own_origin(request, ready.settings)
    language = language_of(request)
    try:
        signed_in = sign_in.with_password(ready, email, password, known.caller_of(request))
    except ThrottledError as error:
        problem = word(language, "throttled", seconds=error.seconds)
        answer = form(request, ready.settings, next, email, problem).response(429)
        answer.headers["Retry-After"] = str(error.seconds)
        return answer
    except SecondStepError as step:
        answer = RedirectResponse(f"{CODE}?next={quote(local_target(next))}", 303)
        if step.enrols:
            second_factor.start_enrolment(ready, sign_in.in_second_step(ready, step.token))
        until = datetime.now(UTC) + sign_in.TIME_FOR_THE_CODE
        authentication.set_short(answer, ready.settings, authentication.SECOND_STEP, step.token, until)
        return answer
    except SignInError:
        return form(request, ready.settings, next, email, word(language, "wrong")).response(401)
    answer = RedirectResponse(local_target(next), 303)
    authentication.set_session(answer, ready.settings, signed_in)
    return answer


@router.get(CODE)
def ask_for_code(
    request: Request,
    ready: Ready,
    next: str = "/",  # noqa: A002 (the name in addresses)
    *,
    recovery: bool = False,
) -> Response:
    """The second step after the right password; for others the form."""
    try:
        return _code_form(request, ready, next, recovery=recovery).response()
    except SessionOverError:
        return RedirectResponse(f"{PATH}?next={quote(local_target(next))}", 303)


@router.post(CODE)
def enter_code(
    request: Request,
    ready: Ready,
    known: Recognizing,
    code: Typed = "",
    next: Typed = "/",  # noqa: A002 (the name in addresses)
    recovery: Typed = "",
) -> Response:
    """Begin a session with the second factor and go on, or show the step again with what was wrong."""
    authentication.require_own_origin(request, ready.settings)
    language = language_of(request)
    try:
        token = authentication.cookie_of(request, ready.settings, authentication.SECOND_STEP) or ""
        signed_in, codes = sign_in.with_code(ready, token, code, known.caller_of(request))
    except ThrottledError as error:
        problem = word(language, "throttled", seconds=error.seconds)
        return _code_form(request, ready, next, problem, recovery=bool(recovery)).response(429)
    except SessionOverError:
        return RedirectResponse(f"{PATH}?next={quote(local_target(next))}", 303)
    except SignInError:
        return _code_form(request, ready, next, word(language, "code.wrong"), recovery=bool(recovery)).response(401)
    target = local_target(next)
    answer = RecoveryCodes(language, target, codes).response() if codes else RedirectResponse(target, 303)
    authentication.set_session(answer, ready.settings, signed_in)
    authentication.clear(answer, ready.settings, authentication.SECOND_STEP)
    return answer


@router.post(OUT)
def leave(request: Request, ready: Ready, known: Recognizing) -> Response:
    """End the session."""
    authentication.require_own_origin(request, ready.settings)
    known.sign_out(request)
    answer = RedirectResponse(PATH, 303)
    authentication.clear_session(answer, ready.settings)
    return answer


@router.get(RENEWAL)
def renew(request: Request, ready: Ready, known: Recognizing, next: str = "/") -> Response:  # noqa: A002 (in addresses)
    """Exchange the cookie of the session and go back to the page; without one, to the form."""
    target = local_target(next)
    cookie = authentication.cookie_of(request, ready.settings, authentication.SESSION) or ""
    going_on = RedirectResponse(target, 303)
    try:
        signed_in = sign_in.exchange(ready, cookie, known.address_of(request))
    except SessionOverError:
        answer = RedirectResponse(f"{PATH}?next={quote(target)}", 303)
        authentication.clear_session(answer, ready.settings)
        return answer
    authentication.set_session(going_on, ready.settings, signed_in)
    return going_on


def form(request: Request, settings: Settings, target: str, email: str = "", problem: str = "") -> SignInForm:
    """The form in the language of the browser."""
    target = local_target(target)
    return SignInForm(
        language_of(request),
        target,
        urlsplit(settings.oidc_issuer).netloc if settings.oidc_issuer else "",
        f"{PATH}/oidc?next={quote(target)}",
        email,
        problem,
    )


def _code_form(request: Request, ready: Runtime, target: str, problem: str = "", *, recovery: bool) -> CodeForm:
    """The second step, which sets up a second factor where there is none. Raises `SessionOverError`."""
    user = sign_in.in_second_step(
        ready, authentication.cookie_of(request, ready.settings, authentication.SECOND_STEP) or ""
    )
    offer = None if user.second_factor else second_factor.pending_enrolment(ready, user)
    return CodeForm(language_of(request), local_target(target), offer, problem, recovery and offer is None)


def language_of(request: Request) -> Language:
    """The language that the browser prefers."""
    return chosen("", request.headers.get("accept-language", ""))


def local_target(wanted: str) -> str:
    """Where to go on: an address of ours but the sign-in, else the start page."""
    is_local = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and wanted.isprintable()
    if not is_local or urlsplit(wanted).path.startswith((PATH, OUT, RENEWAL)):
        return "/"
    return quote(wanted, safe="/%?&=:+,~@!$*()-._#")
