"""The operator's console: one page of sections in the web app, for people who never open a terminal.

`access.py` joins it to the web app and lets in who is signed in; `shell.py` is the frame (top bar, navigation, boxes)
and lists the sections. A section is a module or package with `SECTION = Section(name, icon, show)`; `show(visit)` fills
its box when it first comes into view. It works with:

- `visit.words("connectors.add", name=...)`: a text in the visitor's language. The texts of a section are in
  `words/<section>.py`, each key in English, German and French, among them `<section>.title` and `<section>.about`.
  `visit.words.day(...)`, `.instant(...)`, `.minutes(...)` and `.number(...)` format values.
- `await visit.ask(operation, *args)`: the only way to data. It checks the session and runs the operation beside the
  event loop. `visit.actor` is the visitor, `visit.may(Role.OPERATOR)` says whether to offer an act.
- `await visit.once(key, operation, *args)`: runs an act once for each key. Make the key with `new_key()` when what the
  act is about is shown.
- `visit.act(Role.OPERATOR, handler)`: makes the handler of an event. It checks session and role, shows errors that are
  meant for people, leads to the sign-in when the session is over, and ignores a second press while it runs. Every
  handler that changes something is made so.
- `visit.notify(text)` and `visit.warn(text)`: notices, which screen readers announce.
- `Panel(visit, load, show)` in `widgets.py`: a part that loads by itself and shows its own error with a button to try
  again. `await panel.refresh()` redraws only what changed; `visit.live(panel.refresh)` calls it whenever something did.
- The widgets of `widgets.py`: `card`, `button`, `table`, `pager`, `field`, `chip`, `empty`, `dialog`, ...

Give whatever comes from outside to `ui.label` or these widgets, which show text as text.
"""
