"""From text to an expression, by the grammar of CEL (cel-spec, langdef): its precedence, its literals, its comments.

The law: what the language has and a price does not need (maps, macros, bytes, null, types) is refused with its place.
"""

import re
from fractions import Fraction
from typing import NamedTuple, cast

from billing.core.errors import Invalid
from billing.core.expressions.tree import (
    Attribute,
    Binary,
    Call,
    Choice,
    Has,
    In,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Operator,
    Text,
    Truth,
)

TEXT_LIMIT = 2000
"""Characters: a rule that a person can check."""
PARTS_LIMIT = 500
"""Parts of one expression, which is also how many steps its evaluation takes at most."""
NESTING_LIMIT = 20
"""Parentheses and signs inside one another; with it no reading reaches Python's limit."""
DEPTH_LIMIT = 100
"""Parts that hold one another, as the terms of a sum do; with it no evaluation reaches Python's limit."""
LEVELS: tuple[tuple[str, ...], ...] = (
    ("||",),
    ("&&",),
    ("<=", "<", ">=", ">", "==", "!=", "in"),
    ("+", "-"),
    ("*", "/", "%"),
)
"""Operators that bind from left to right, the weakest first."""
TOKEN = re.compile(
    r"(?P<skip>[ \t\r\n\f]+|//[^\n]*)"
    r"|(?P<number>([0-9]+\.[0-9]+|\.[0-9]+|[0-9]+)([eE][+-]?[0-9]+)?u?)"
    r"""|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<sign>\|\||&&|<=|>=|==|!=|[-+*/%<>!?:.,()\[\]{}])"
)
NUMBER = re.compile(r"[0-9]{0,15}(\.[0-9]{1,18})?")
ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)")
ESCAPES = {"\\": "\\", '"': '"', "'": "'", "`": "`", "?": "?", "n": "\n", "t": "\t", "r": "\r"}
METHODS = frozenset({"startsWith", "endsWith", "contains", "size"})


class Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse(text: str) -> Node:
    """The expression that a text says. Raises Invalid with the place (the character, from 1) of what is wrong."""
    if len(text) > TEXT_LIMIT:
        raise Invalid(f"an expression is at most {TEXT_LIMIT} characters, this one is {len(text)}; make it simpler")
    return _Parser(text).whole()


def wrong(at: int, message: str) -> Invalid:
    return Invalid(f"at character {at}: {message}")


def _tokens(text: str) -> list[Token]:
    tokens, reached = [], 0
    while reached < len(text):
        found = TOKEN.match(text, reached)
        if found is None:
            raise wrong(reached + 1, f"{text[reached]!r} is not understood; remove it or correct it")
        if found.lastgroup != "skip":
            tokens.append(Token(str(found.lastgroup), found.group(), reached + 1))
        reached = found.end()
    return [*tokens, Token("end", "", len(text) + 1)]


class _Parser:
    """One descent through the tokens, one method for each rule of the grammar."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.place = 0
        self.parts = 0
        self.depths: dict[int, int] = {}
        """By the identity of each part read so far; all of them stay alive in the expression."""

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def take(self) -> Token:
        token = self.next
        self.place += token.kind != "end"
        return token

    def taken(self, *signs: str) -> Token | None:
        """The next token when it is one of these."""
        return self.take() if self.next.kind in {"sign", "word"} and self.next.text in signs else None

    def expect(self, sign: str) -> None:
        if self.taken(sign) is None:
            raise self.unexpected(f"{sign!r}")

    def unexpected(self, wanted: str) -> Invalid:
        token = self.next
        found = "the expression ends" if token.kind == "end" else f"{token.text!r} stands"
        return wrong(token.at, f"{found} where {wanted} should be")

    def built(self, node: Node, *inner: Node) -> Node:
        """A part that was read, counted: too many or too deep is refused while reading."""
        self.parts += 1
        depth = 1 + max((self.depths[id(part)] for part in inner), default=0)
        self.depths[id(node)] = depth
        if self.parts > PARTS_LIMIT:
            raise wrong(node.at, f"the expression has more than {PARTS_LIMIT} parts; make it simpler")
        if depth > DEPTH_LIMIT:
            raise wrong(node.at, f"the expression is nested deeper than {DEPTH_LIMIT}; make it simpler")
        return node

    def whole(self) -> Node:
        node = self.expression(0)
        if self.next.kind != "end":
            raise self.unexpected("an operator or the end")
        return node

    def expression(self, nesting: int) -> Node:
        if nesting > NESTING_LIMIT:
            raise wrong(self.next.at, f"the expression is nested deeper than {NESTING_LIMIT}; make it simpler")
        choices: list[tuple[Node, Node, Token]] = []
        node = self.chain(0, nesting)
        while (question := self.taken("?")) is not None:
            then = self.chain(0, nesting)
            self.expect(":")
            choices.append((node, then, question))
            node = self.chain(0, nesting)
        for condition, then, question in reversed(choices):
            node = self.built(Choice(condition, then, node, question.at), condition, then, node)
        return node

    def chain(self, level: int, nesting: int) -> Node:
        if level == len(LEVELS):
            return self.unary(nesting)
        left = self.chain(level + 1, nesting)
        while (token := self.taken(*LEVELS[level])) is not None:
            if token.text == "in":
                items = self.listed(nesting)
                left = self.built(In(left, items, token.at), left, *items)
            else:
                right = self.chain(level + 1, nesting)
                left = self.built(Binary(cast("Operator", token.text), left, right, token.at), left, right)
        return left

    def listed(self, nesting: int) -> tuple[Node, ...]:
        if self.next.text != "[":
            raise self.unexpected("a list such as ['a', 'b']")
        self.take()
        return self.arguments("]", nesting)

    def unary(self, nesting: int) -> Node:
        if nesting > NESTING_LIMIT:
            raise wrong(self.next.at, f"the expression is nested deeper than {NESTING_LIMIT}; make it simpler")
        if (token := self.taken("!")) is not None:
            inner = self.unary(nesting + 1)
            return self.built(Not(inner, token.at), inner)
        if (token := self.taken("-")) is not None:
            inner = self.unary(nesting + 1)
            return self.built(Negative(inner, token.at), inner)
        return self.member(nesting)

    def member(self, nesting: int) -> Node:
        node = self.primary(nesting)
        while (dot := self.taken(".")) is not None:
            method = self.take()
            if method.kind != "word" or method.text not in METHODS or self.next.text != "(":
                raise wrong(dot.at, f"nothing has {method.text!r} here; known are {', '.join(sorted(METHODS))}")
            self.take()
            arguments = (node, *self.arguments(")", nesting))
            node = self.built(Call(method.text, arguments, method.at), *arguments)
        return node

    def arguments(self, closing: str, nesting: int) -> tuple[Node, ...]:
        found: list[Node] = []
        while self.taken(closing) is None:
            if found:
                self.expect(",")
            found.append(self.expression(nesting + 1))
        return tuple(found)

    def primary(self, nesting: int) -> Node:
        token = self.next
        match token.kind:
            case "number":
                self.take()
                return self.built(Number(_number(token), token.at))
            case "text":
                self.take()
                return self.built(Text(_text(token), token.at))
            case "word" if token.text not in {"in", "null"}:
                self.take()
                return self.word(token, nesting)
        if self.taken("(") is not None:
            node = self.expression(nesting + 1)
            self.expect(")")
            return node
        raise self.unexpected("a number, a text, a name or ( ")

    def word(self, token: Token, nesting: int) -> Node:
        if token.text in {"true", "false"}:
            return self.built(Truth(token.text == "true", token.at))
        if token.text == "attributes":
            return self.built(Attribute(self.attribute(), token.at))
        if token.text == "has" and self.taken("(") is not None:
            if self.taken("attributes") is None:
                raise self.unexpected("an attribute, such as attributes.site,")
            name = self.attribute()
            self.expect(")")
            return self.built(Has(name, token.at))
        function = token.text
        if function == "math" and self.taken(".") is not None:
            function = f"math.{self.take().text}"
        if self.taken("(") is None:
            return self.built(Name(function, token.at))
        arguments = self.arguments(")", nesting)
        return self.built(Call(function, arguments, token.at), *arguments)

    def attribute(self) -> str:
        if self.taken(".") is not None and self.next.kind == "word":
            return self.take().text
        if self.taken("[") is not None and self.next.kind == "text":
            name = _text(self.take())
            self.expect("]")
            return name
        raise self.unexpected("the name of an attribute, such as attributes.site or attributes['site'],")


def _number(token: Token) -> Fraction:
    if not NUMBER.fullmatch(token.text):
        raise wrong(
            token.at, f"{token.text} is not a plain number of up to 15 digits and 18 decimals; write it out, as 0.25"
        )
    return Fraction(token.text)


def _text(token: Token) -> str:
    def plain(found: re.Match[str]) -> str:
        escape = found.group(1)
        if escape.startswith("u") and len(escape) > 1:
            return chr(int(escape[1:], 16))
        if escape not in ESCAPES:
            raise wrong(token.at, f"the escape \\{escape} is not known here; write the character itself")
        return ESCAPES[escape]

    return ESCAPE.sub(plain, token.text[1:-1])
