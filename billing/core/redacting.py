"""Payloads as they may be shown: what is named like a secret is masked, the rest stays as it was sent. Pure.

The law: the stored bytes stay whole, for the replay; what is printed, logged or answered has no secret.
"""

import re

MASK = "***"
NAMES = r"passw(?:or)?d|pwd|passphrase|secret|token|credential|authorization|bearer|key"
NAMED = re.compile(NAMES, re.IGNORECASE)
"""A name that has one of these words in it: `appKey` and `wifi_password` too. Rather one word too many is masked."""
PAIR = re.compile(rf"(?<!\w)(\w{{0,30}}(?:{NAMES})\w{{0,30}}\s{{0,3}}=\s{{0,3}})[^\s&;,\"']+", re.IGNORECASE)
COLON = re.compile(r"\s*:\s*")
TEXT = re.compile(r'"(?:[^"\\]|\\.)*"?')
SCALAR = re.compile(r"[^\s,}\]]*")
OPENING = {"{": "}", "[": "]"}


def redacted(text: str) -> str:
    """The text with every value masked whose name is that of a secret, in JSON and in `name=value`.

    >>> redacted('{"user": "a", "password": "b"}')
    '{"user": "a", "password": "***"}'
    """
    made: list[str] = []
    kept = at = 0
    while (quote := text.find('"', at)) >= 0:
        name = TEXT.match(text, quote)
        at = len(text) if name is None else name.end()
        colon = COLON.match(text, at)
        if name is None or colon is None or NAMED.search(name[0]) is None:
            continue
        at = _end(text, colon.end())
        made += [text[kept : colon.end()], f'"{MASK}"']
        kept = at
    made.append(text[kept:])
    return PAIR.sub(rf"\g<1>{MASK}", "".join(made))


def shown(payload: bytes) -> str:
    """A payload as text, its secrets masked; bytes that are no UTF-8 stand in hexadecimal."""
    return redacted(payload.decode("utf-8", errors="backslashreplace"))


def _end(text: str, at: int) -> int:
    """Where the JSON value that begins at `at` ends; of one that never ends, the end of the text."""
    if at >= len(text):
        return at
    if text[at] == '"':
        found = TEXT.match(text, at)
        return at if found is None else found.end()
    if text[at] not in OPENING:
        found = SCALAR.match(text, at)
        return at if found is None else found.end()
    depth = 0
    while at < len(text):
        if text[at] == '"':
            inner = TEXT.match(text, at)
            at = len(text) if inner is None else inner.end()
            continue
        depth += (text[at] in OPENING) - (text[at] in OPENING.values())
        at += 1
        if depth == 0:
            break
    return at
