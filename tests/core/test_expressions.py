"""Expressions: what they mean, that CEL's own grammar reads them alike, and that only what is known is evaluated."""

from contextlib import suppress
from fractions import Fraction
from typing import Any

import pytest
from celpy.celparser import CELParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lark import Tree as Parsed

from billing.core.errors import Invalid
from billing.core.expressions import NAMES as CHECKED
from billing.core.expressions import check, evaluate, parse
from billing.core.expressions.parsing import DEPTH_LIMIT, NESTING_LIMIT, PARTS_LIMIT, TEXT_LIMIT
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

NAMES = {"quantity": Fraction(7), "count": Fraction(3), "part": Fraction(1, 3)}
ATTRIBUTES = {"site": "north", "power": "9.5", "cost centre": "A7"}


def value_of(text: str) -> Fraction | str | bool:
    node = parse(text)
    check(node)
    return evaluate(node, NAMES, ATTRIBUTES)


@pytest.mark.parametrize(
    "text,expected",
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("7 / 2", "7/2"),  # numbers are exact: there is no division of integers
        ("1 / 3 + 1 / 3 + 1 / 3", "1"),
        ("0.1 + 0.2", "0.3"),
        ("10 - 2 - 3", "5"),
        ("2 * quantity - -1", "15"),
        ("-quantity % 4", "-3"),  # as in CEL, the sign is the dividend's
        ("quantity > 5 ? 1 : 2", "1"),
        ("quantity < 5 ? 1 : quantity < 6 ? 2 : 3", "3"),
        ('attributes.site == "north" ? double(attributes.power) : 0', "9.5"),
        ("attributes['cost centre'].startsWith('A') ? 1 : 0", "1"),
        ("attributes.site in ['south', 'north'] ? 1 : 0", "1"),
        ("has(attributes.tariff) ? 1 : 0", "0"),
        ("!has(attributes.tariff) || attributes.tariff == 'x' ? 1 : 0", "1"),
        ("attributes.tariff == 'x' || true ? 1 : 0", "1"),  # as in CEL: one side that decides is enough
        ("true || attributes.tariff == 'x' ? 1 : 0", "1"),
        ("false && 1 / 0 == 1 ? 1 : 0", "0"),
        ("math.greatest(1, quantity, 3) + math.least(4, 2)", "9"),
        ("math.ceil(1.2) + math.floor(-1.2) + math.round(2.5) + math.round(-2.5) + math.trunc(-1.9)", "-1"),
        ("math.abs(-2) + math.sign(-3) + int(-1.5)", "0"),
        ("size(attributes.site) + double('-1.25')", "3.75"),
        ("string(quantity) == '7' && string(true) == 'true' ? 1 : 0", "1"),
        ("'a\\u00e9\\'\\n' == \"aé'\\n\" ? 1 : 0", "1"),
        ("quantity // so many\n * 2", "14"),
        ("'north' > 'east' ? 1 : 0", "1"),
    ],
)
def test_an_expression_comes_to_an_exact_value(text: str, expected: str) -> None:
    assert value_of(text) == Fraction(expected)


@pytest.mark.parametrize(
    "text,at,said",
    [
        ("", 1, "the expression ends where"),
        ("quantity +", 11, "the expression ends where"),
        ("quantity 2", 10, "'2' stands where an operator"),
        ("(1", 3, "the expression ends where ')'"),
        ("quantiy * 2", 1, "'quantiy' is not known; known are quantity, count"),
        ("__import__('os')", 1, "the function '__import__' is not known"),
        ("quantity.__class__", 9, "nothing has '__class__' here"),
        ("quantity.real", 9, "nothing has 'real' here"),
        ("attributes.site.upper()", 16, "nothing has 'upper' here"),
        ("attributes", 11, "the name of an attribute"),
        ("[1, 2]", 1, "'[' stands where"),
        ("{'a': 1}", 1, "'{' stands where"),
        ("null", 1, "'null' stands where"),
        ("1.5e3", 1, "not a plain number"),
        ("1234567890123456", 1, "not a plain number"),
        ("5u", 1, "not a plain number"),
        ("'a\\x41'", 1, "escape \\x"),
        ("quantity ; 1", 10, "';' is not understood"),
        ("lambda: 1", 7, "':' stands"),
        ("quantity == 'a'", 13, "'==' takes a number here, but this is a text"),
        ("attributes.power > 5", 1, "write double(...) around it"),
        ("attributes.power * 2", 1, "write double(...) around it"),
        ("quantity && true", 1, "'&&' takes true or false"),
        ("!quantity", 2, "'!' takes true or false"),
        ("-'a'", 2, "'-' takes a number"),
        ("quantity ? 1 : 2", 1, "'?' takes true or false"),
        ("true ? 1 : 'a'", 12, "':' takes a number"),
        ("1 in ['a']", 7, "'in' takes a number"),
        ("math.round(1, 2)", 1, "math.round takes 1 values, not 2"),
        ("math.least()", 1, "takes 1 or more values, not 0"),
        ("math.sqrt(2)", 1, "the function 'math.sqrt' is not known"),
        ("math.ceil('a')", 11, "math.ceil takes a number"),
        ("has(quantity)", 5, "an attribute, such as attributes.site"),
        ("[1,2].map(x, x * 2)", 1, "'[' stands"),
        ("1 < 2 < 3", 9, "'<' takes true or false"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, at: int, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        check(parse(text))
    assert caught.value.message.startswith(f"at character {at}: ")
    assert said in caught.value.message


@pytest.mark.parametrize(
    "text,said",
    [
        ("1 / (quantity - 7)", "at character 3: this divides by 0"),
        ("1 % 0", "at character 3: this divides by 0"),
        ("attributes.tariff == 'x' ? 1 : 0", "at character 1: the object has no attribute 'tariff'"),
        ("double(attributes.site)", "at character 1: double takes a number, but the text is 'north'"),
        ("double('nan')", "double takes a number"),
        ("double('\uff11')", "double takes a number"),
        ("attributes.tariff == 'x' && true ? 1 : 0", "no attribute 'tariff'"),
    ],
)
def test_what_cannot_be_evaluated_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        value_of(text)
    assert said in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "(" * (NESTING_LIMIT + 1) + "1" + ")" * (NESTING_LIMIT + 1),
        "(" * 900 + "1" + ")" * 900,
        "-" * (NESTING_LIMIT + 2) + "1",
        "math.abs(" * 30 + "1" + ")" * 30,
        "+".join(["1"] * (DEPTH_LIMIT + 2)),
        "true ? 1 : " * (DEPTH_LIMIT + 2) + "1",
        "math.least(" + ",".join(["1"] * PARTS_LIMIT) + ")",
        " " * (TEXT_LIMIT + 1),
    ],
)
def test_what_is_too_large_is_refused_while_it_is_read(text: str) -> None:
    with pytest.raises(Invalid, match="make it simpler"):
        parse(text)


def test_a_number_that_grows_beyond_all_measure_stops_the_evaluation() -> None:
    factor = "123456789012345.123456789012345678"
    with pytest.raises(Invalid, match="beyond all measure"):
        value_of("*".join([factor] * 57))


# --- the grammar of CEL, as cel-python has it ---------------------------------------------------------------


def converted(tree: "Parsed[Any]") -> Node:  # noqa: C901, PLR0911, PLR0912 - one case for each rule of the grammar
    """cel-python's tree as one of ours."""
    kind, parts = str(tree.data), tree.children
    match kind, len(parts):
        case "expr", 3:
            return Choice(converted(parts[0]), converted(parts[1]), converted(parts[2]))
        case "conditionalor", 2:
            return Binary("||", converted(parts[0]), converted(parts[1]))
        case "conditionaland", 2:
            return Binary("&&", converted(parts[0]), converted(parts[1]))
        case (("relation" | "addition" | "multiplication"), 2):
            left, right = converted(parts[0].children[0]), parts[1]
            if parts[0].data == "relation_in":
                return In(left, list_of(right))
            return Binary(SIGNS[str(parts[0].data)], left, converted(right))
        case "unary", 2:
            inner = converted(parts[1])
            return Not(inner) if parts[0].data == "unary_not" else negative(inner)
        case "member_dot", 2:
            return Attribute(str(parts[1]))
        case "member_index", 2:
            name = converted(parts[1])
            assert isinstance(name, Text)
            return Attribute(name.value)
        case "member_dot_arg", _:
            arguments = tuple(converted(it) for it in parts[2].children)
            owner = converted(parts[0])
            if owner == Name("math"):
                return Call(f"math.{parts[1]}", arguments)
            return Call(str(parts[1]), (owner, *arguments))
        case "ident_arg", _:
            arguments = tuple(converted(it) for it in parts[1].children)
            if parts[0] == "has":
                assert isinstance(arguments[0], Attribute)
                return Has(arguments[0].name)
            return Call(str(parts[0]), arguments)
        case "ident", 1:
            return Name(str(parts[0]))
        case "literal", 1:
            return literal(parts[0])
    assert len(parts) == 1, tree
    return converted(parts[0])


SIGNS: dict[str, Operator] = {
    "relation_lt": "<",
    "relation_le": "<=",
    "relation_gt": ">",
    "relation_ge": ">=",
    "relation_eq": "==",
    "relation_ne": "!=",
    "addition_add": "+",
    "addition_sub": "-",
    "multiplication_mul": "*",
    "multiplication_div": "/",
    "multiplication_mod": "%",
}


def literal(token: Any) -> Node:
    match token.type:
        case "INT_LIT" | "FLOAT_LIT":
            return Number(Fraction(str(token)))
        case "BOOL_LIT":
            return Truth(str(token) == "true")
        case _:
            return Text(str(token)[1:-1])


class OtherLanguage(Exception):
    """CEL has it, the language of rules does not."""


def list_of(tree: "Parsed[Any]") -> tuple[Node, ...]:
    while tree.data != "list_lit":
        if len(tree.children) != 1:
            raise OtherLanguage("a list is written out: none is the sum of two")
        (tree,) = tree.children
    return tuple(converted(it) for it in tree.children[0].children) if tree.children else ()


def negative(inner: Node) -> Node:
    return Number(-inner.value) if isinstance(inner, Number) else Negative(inner)


def folded(node: Node) -> Node:  # noqa: PLR0911 - one case for each part of the language
    """A minus before a number is part of it in cel-python, and a sign of its own here: both mean the same."""
    match node:
        case Negative():
            return negative(folded(node.inner))
        case Not():
            return Not(folded(node.inner))
        case Binary():
            return Binary(node.operator, folded(node.left), folded(node.right))
        case In():
            return In(folded(node.value), tuple(map(folded, node.items)))
        case Choice():
            return Choice(folded(node.condition), folded(node.then), folded(node.otherwise))
        case Call():
            return Call(node.function, tuple(map(folded, node.arguments)))
        case _:
            return node


ATOMS = st.sampled_from(
    ["quantity", "count", "part", "1", "0.25", "20", "'a'", '"b c"', "true", "attributes.site", "attributes['x y']"]
)
OPERATORS = ["||", "&&", "<", "<=", ">", ">=", "==", "!=", "+", "-", "*", "/", "%"]


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts without needless parentheses, so that it is the precedence that is compared."""
    return st.one_of(
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map(" ".join),
        st.tuples(inner, inner, inner).map(lambda it: f"({it[0]} ? {it[1]} : {it[2]})"),
        inner.map(lambda it: f"!{it}"),
        inner.map(lambda it: f"- {it}"),
        inner.map(lambda it: f"({it})"),
        inner.map(lambda it: f"{it} == has(attributes.site)"),
        st.tuples(inner, inner).map(lambda it: f"math.least({it[0]}, {it[1]})"),
        st.tuples(inner, inner).map(lambda it: f"({it[0]}).contains({it[1]})"),
        st.tuples(inner, inner).map(lambda it: f"{it[0]} in [{it[1]}, 2]"),
    )


@settings(deadline=None)  # cel-python reads its grammar once, which takes longer than an example
@given(st.recursive(ATOMS, larger, max_leaves=12))
@example("quantity in [count, 2] + 1")
def test_the_grammar_is_that_of_cel(text: str) -> None:
    try:
        wanted = folded(converted(CELParser().parse(text)))
    except OtherLanguage:
        with pytest.raises(Invalid, match="stands where"):
            parse(text)
    else:
        assert folded(parse(text)) == wanted


@given(st.text(alphabet="quantity1.0+-*/%<>=!&|?:()[]{},'\" a_\\\n", max_size=40) | st.text(max_size=20))
def test_any_text_is_an_expression_or_is_refused_and_nothing_else(text: str) -> None:
    with suppress(Invalid):
        node = parse(text)
        check(node)
        evaluate(node, dict.fromkeys(CHECKED, Fraction(1)), {})
