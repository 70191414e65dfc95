"""Every regular expression of the project, and harmless texts of growing length to time it on."""

from __future__ import annotations

import ast
import importlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from re import _parser  # type: ignore[attr-defined]  # the only way to a pattern's parts
from typing import Any

from twin.target.paths import ROOT

PACKAGES = ("services", "twin", "localcloud")
FUNCTIONS = frozenset({"compile", "match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer"})
ANCHORED = frozenset({"match", "fullmatch"})
USUAL = (" ", "\n", "a", "A", "0", "_", "-", ".", "<", "`", '"', "[", "(", "/", "*")
"""Characters of every alphabet: white space, word characters, and what texts and markup are full of."""
MOST_CHARACTERS = 30
MOST_PREFIXES = 16


@dataclass(frozen=True)
class Found:
    """A pattern and where it stands.

    Attributes:
        anchored: it is only ever matched at the beginning of a text, so that it is tried once.
    """

    place: str
    pattern: re.Pattern[str]
    anchored: bool = False


def every_pattern() -> Iterator[Found]:
    """Patterns that the packages write down: literals, and compiled ones that a module builds when it is imported."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield from _patterns_of(path)


def _patterns_of(path: Path) -> Iterator[Found]:
    place = path.relative_to(ROOT)
    built = False
    tree = ast.parse(path.read_text(encoding="utf-8"))
    anchored = _anchored(tree)
    for node in ast.walk(tree):
        if not _is_call(node):
            continue
        assert isinstance(node, ast.Call)
        try:
            text = ast.literal_eval(node.args[0])
        except ValueError:
            built = True
            continue
        only_here = id(node) in anchored or node.func.attr in ANCHORED  # type: ignore[attr-defined]
        yield Found(f"{place}:{node.lineno}", re.compile(text, _flags(node)), only_here)
    if built:
        module = importlib.import_module(str(place.with_suffix("")).replace("/", ".").removesuffix(".__init__"))
        for name, value in vars(module).items():
            for pattern in _compiled(value):
                yield Found(f"{place}:{name}", pattern)


def _anchored(tree: ast.Module) -> set[int]:
    """Calls of `re.compile` whose name the module uses for matches at the beginning only, by id of the node."""
    compiled = {
        target.id: id(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and _is_call(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    uses: dict[str, set[str]] = {}
    names = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            uses.setdefault(node.value.id, set()).add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in names:
            uses.setdefault(node.id, set()).add("handed on")
    return {call for name, call in compiled.items() if name in uses and uses[name] <= ANCHORED}


def _is_call(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (node.func.value.id, node.func.attr in FUNCTIONS) == ("re", True)
        and bool(node.args)
    )


def _flags(call: ast.Call) -> int:
    """The flags that a call names, wherever they stand among its arguments."""
    names = {each.attr for each in ast.walk(call) if isinstance(each, ast.Attribute) and each.attr.isupper()}
    found = 0
    for name in names:
        found |= getattr(re, name, 0)
    return found


def _compiled(value: Any) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _compiled(each)
    elif isinstance(value, dict):
        yield from _compiled(tuple(value.values()))
    elif hasattr(value, "pattern") and isinstance(value.pattern, re.Pattern | str):
        yield re.compile(value.pattern) if isinstance(value.pattern, str) else value.pattern


def texts(pattern: re.Pattern[str], length: int) -> Iterator[str]:
    """Harmless texts of about `length` characters: nothing but repeats of what the pattern itself is made of.

    One character over and over; an opener over and over; and an opener with one character after it, where an opener is
    the beginning, up to any part, of a text that the pattern matches.
    """
    openers, characters = _openers(pattern), _characters(pattern)
    for character in characters:
        yield character * length
    for opener in openers:
        yield opener * (length // len(opener))
        for character in characters:
            yield opener + character * length
            yield (opener + character) * (length // (len(opener) + 1))


def _tree(pattern: re.Pattern[str]) -> Any:
    return _parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE | re.UNICODE)


def _characters(pattern: re.Pattern[str]) -> list[str]:
    found = dict.fromkeys(USUAL)
    found |= dict.fromkeys(chr(code) for code in _literals(_tree(pattern)))
    return list(found)[:MOST_CHARACTERS]


def _literals(tree: Any) -> Iterator[int]:
    for operation, argument in tree:
        name = str(operation)
        if name in ("LITERAL", "NOT_LITERAL"):
            yield argument
        elif name == "RANGE":
            yield argument[0]
        elif name == "IN":
            yield from _literals(argument)
        else:
            for child in _children(name, argument):
                yield from _literals(child)


def _children(name: str, argument: Any) -> list[Any]:
    if name == "BRANCH":
        return list(argument[1])
    if name == "SUBPATTERN":
        return [argument[3]]
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return [argument[2]]
    if name in ("ASSERT", "ASSERT_NOT"):
        return [argument[1]]
    return [argument] if name == "ATOMIC_GROUP" else []


def _openers(pattern: re.Pattern[str]) -> list[str]:
    """Beginnings of texts that the pattern matches, one for each branch and each number of its parts."""
    found: dict[str, None] = {}
    for parts in _samples(_tree(pattern)):
        text = ""
        for part in parts:
            text += part
            if text:
                found[text] = None
    # Evenly thinned: early and late parts of a long pattern both matter.
    every = list(found)
    step = max(1, len(every) // MOST_PREFIXES)
    return every[::step]


def _samples(tree: Any) -> Iterator[list[str]]:
    """Parts of matching texts: one text for each branch of the first choice, with the first branch of the others."""
    branches = next((argument[1] for operation, argument in tree if str(operation) == "BRANCH"), None)
    for chosen in range(len(branches) if branches else 1):
        yield list(_parts(tree, chosen))


def _parts(tree: Any, chosen: int = 0) -> Iterator[str]:
    for operation, argument in tree:
        name = str(operation)
        if name == "LITERAL":
            yield chr(argument)
        elif name == "IN":
            yield _member(argument)
        elif name in ("ANY", "NOT_LITERAL"):
            yield "a"
        elif name == "BRANCH":
            yield from _parts(argument[1][min(chosen, len(argument[1]) - 1)])
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            # Optional parts as well: they are where a matcher has choices.
            for _ in range(min(max(argument[0], 1), 4)):
                yield from _parts(argument[2])
        elif name in ("SUBPATTERN", "ATOMIC_GROUP"):
            yield from _parts(argument[3] if name == "SUBPATTERN" else argument)


def _member(argument: Any) -> str:
    """A character of a class."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for character in (*USUAL, *(chr(code) for code in _literals(argument)), "é", "9"):
            if _is_member(argument, character):
                return character
    return "a"


def _is_member(argument: Any, character: str) -> bool:
    negated = bool(argument) and str(argument[0][0]) == "NEGATE"
    return any(_holds(str(name), value, character) for name, value in argument) != negated


def _holds(name: str, value: Any, character: str) -> bool:
    if name == "LITERAL":
        return ord(character) == value
    if name == "RANGE":
        return bool(value[0] <= ord(character) <= value[1])
    tests = {
        "CATEGORY_DIGIT": character.isdigit(),
        "CATEGORY_SPACE": character.isspace(),
        "CATEGORY_WORD": character.isalnum() or character == "_",
    }
    if name != "CATEGORY":
        return False
    category = str(value)
    return not tests[category.replace("_NOT_", "_")] if "_NOT_" in category else tests[category]
