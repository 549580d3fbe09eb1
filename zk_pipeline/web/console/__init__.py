"""The operator's console: one page of sections in the web app, for people who never open a terminal.

How it is made: `mount.py` joins it to the web app, `gate.py` lets in who is signed in, `shell.py` is the frame (top
bar, navigation, the boxes of the sections), `sections.py` lists the sections. Each section is a module or package of
its own that exposes `SECTION = Section(name, icon, show)`; `show(visit)` fills its box when it first comes into view.

What a section works with:

- `visit.words("connectors.add", name=...)` is a text in the visitor's language; the texts of a section stand in
  `words/<section>.py`, each key with English, German and French, among them `<section>.title` and `<section>.about`.
  `visit.words.day(...)`, `.instant(...)`, `.minutes(...)`, `.number(...)` write values as that language does.
- `await visit.ask(operation, *args)` runs an operation beside the event loop, after the session was checked once more:
  the one way to data. `visit.actor` is who asks, `visit.may(Role.OPERATOR)` whether to offer something at all.
- `await visit.once(key, operation, *args)` runs one that changes something, once for each key; `new_key()` makes one
  when what the operation is about is shown.
- `visit.act(Role.OPERATOR, handler)` makes the handler of an event: it checks session and role again, tells errors that
  are meant for people, and leads to the sign-in when the session is over. Every handler that does something is made so.
  While it is at work, it is not begun a second time.
- `visit.tell(text)` and `visit.warn(text)` are notices, which screen readers announce.
- `Panel(visit, load, show)` (panel.py) is a part that loads by itself: it shows that it waits, its own error with a
  button to try again, or `show(data)`; `await panel.refresh()` loads again and redraws only what changed.
  `visit.live(panel.refresh)` has that done whenever something changed.
- `parts.py` has the widgets with one look: `card`, `button`, `table`, `pager`, `field`, `chip`, `empty`, `dialog`, ...

Whatever comes from outside is given to `ui.label` and the widgets of `parts.py`, which show text as text.
"""
