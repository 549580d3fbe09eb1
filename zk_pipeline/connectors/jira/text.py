"""Jira's comments as plain text: Atlassian's documents on Cloud, wiki markup on Data Center (docs/jira.md)."""

import re
from collections.abc import Callable
from typing import Any

DEEPEST = 60
"""A document that is nested deeper than this is cut off there."""

_BLOCKS = {"paragraph", "heading", "codeBlock", "listItem", "taskItem", "decisionItem", "tableRow", "blockCard", "rule"}
_ITEMS = {"listItem", "taskItem", "decisionItem"}
_CELLS = {"tableCell", "tableHeader"}

_WIKI: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\{(?:code|noformat|quote|panel|color)(?::[^}]*)?\}"), ""),
    (re.compile(r"\{\{(.+?)\}\}"), r"\1"),
    (re.compile(r"(?m)^\s*(?:h[1-6]|bq)\.\s+"), ""),
    (re.compile(r"(?m)^\s*-{4,}\s*$"), ""),
    (re.compile(r"(?m)^\s*[*#-]+\s+"), "- "),
    (re.compile(r"!\S[^!\n]*\.\w{2,5}(?:\|[^!\n]*)?!"), ""),
    (re.compile(r"\[~(?:accountid:)?([^\]\n]+)\]"), r"@\1"),
    (re.compile(r"\[([^|\]\n]+)\|([^|\]\n]+)(?:\|[^\]\n]*)?\]"), r"\1 (\2)"),
    (re.compile(r"\[((?:https?|mailto|ftp):[^\]\n]+)\]"), r"\1"),
    (re.compile(r"(?m)^\s*\|{1,2}(.*?)\|{1,2}\s*$"), lambda row: re.sub(r"\s*\|{1,2}\s*", " ", row[1]).strip()),
    (re.compile(r"(?<!\w)([*_+^~])(?=\S)([^\n]*?)(?<=\S)\1(?!\w)"), r"\2"),
    (re.compile(r"(?<![\w-])-(?=[^\s-])([^\n-]*?)(?<=\S)-(?![\w-])"), r"\1"),
    (re.compile(r"\\\\(?:\s|$)"), "\n"),
    (re.compile(r"\\([{}\[\]*_+\-^~|!#])"), r"\1"),
)


def plain_comment(comment: Any) -> str:
    """The text of a comment of either kind; empty without one."""
    if isinstance(comment, str):
        return _tidy(_without_wiki(comment))
    if isinstance(comment, dict):
        return _tidy(_document(comment, 0))
    return ""


def _without_wiki(text: str) -> str:
    for pattern, instead in _WIKI:
        text = pattern.sub(instead, text)
    return text


def _document(node: Any, depth: int) -> str:
    """The text of a node and of all nodes in it, each block on a line of its own. Of unknown nodes, what is in them."""
    if not isinstance(node, dict) or depth > DEEPEST:
        return ""
    kind = node.get("type")
    children = node.get("content")
    inner = "".join(_document(each, depth + 1) for each in children) if isinstance(children, list) else ""
    text = _own_text(kind, node) + inner
    if kind in _CELLS:
        return " ".join(text.split()) + " "
    if kind in _ITEMS:
        text = f"- {text.strip()}"
    return f"{text}\n" if kind in _BLOCKS else text


def _own_text(kind: Any, node: dict[str, Any]) -> str:
    attributes = node.get("attrs")
    attrs: dict[str, Any] = attributes if isinstance(attributes, dict) else {}
    match kind:
        case "text":
            found = node.get("text")
        case "hardBreak":
            found = "\n"
        case "mention" | "status":
            found = attrs.get("text")
        case "emoji":
            found = attrs.get("text") or attrs.get("shortName")
        case "inlineCard" | "blockCard" | "embedCard":
            found = attrs.get("url")
        case _:
            found = None
    return found if isinstance(found, str) else ""


def _tidy(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.replace("\r\n", "\n").split("\n")]
    return "\n".join(line for line in lines if line)
