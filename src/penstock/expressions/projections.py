"""Projections: the parts of an item that a list of paths names.

Paths go into a tree of nested dicts: name or list index to the next level, or to an int where a path ends,
which is its place among the paths. Elements chosen from a list come back in their order, without gaps; a map or
list of which nothing was found does not come back at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias, cast

from penstock.expressions.checks import Findings, check_overlaps, check_path_text
from penstock.expressions.conditions import PROGRAMS_KEPT
from penstock.expressions.parser import parse_projection
from penstock.expressions.resolve import names_key, names_of
from penstock.expressions.syntax import DocumentPath, Tree
from penstock.limits import EXPRESSION_BYTES_MAX
from penstock.model.values import Item

KIND = "ProjectionExpression"
PathTree: TypeAlias = "dict[str | int, PathTree | int]"


def path_tree(paths: Iterable[DocumentPath]) -> PathTree:
    """Of paths that do not overlap: see checks.check_overlaps."""
    tree: PathTree = {}
    for index, path in enumerate(paths):
        node = tree
        for part in path[:-1]:
            child = node.setdefault(part, {})
            assert isinstance(child, dict)
            node = child
        node[path[-1]] = index
    return tree


def project(item: Item, tree: PathTree) -> Item:
    """The attributes under `tree`; values are shared with the item, only what is cut is copied."""
    chosen: Item = {}
    for name, child in tree.items():
        value: Any = item.get(cast(str, name))
        if value is not None and not isinstance(child, int):
            value = _project_value(value, child)
        if value is not None:
            chosen[cast(str, name)] = value
    return chosen


def _project_value(value: Any, tree: PathTree) -> Any:
    if "M" in value:
        members = project(value["M"], tree) if isinstance(next(iter(tree)), str) else None
        return {"M": members} if members else None
    if "L" in value and isinstance(next(iter(tree)), int):
        elements = value["L"]
        chosen = []
        for index in sorted(tree, key=int):
            child = tree[index]
            if cast(int, index) < len(elements):
                element = elements[cast(int, index)]
                found = element if isinstance(child, int) else _project_value(element, child)
                if found is not None:
                    chosen.append(found)
        return {"L": chosen} if chosen else None
    return None


class Projection:
    """Holds no values of a request, so one object serves all that have the same text and names."""

    __slots__ = ("apply", "attributes", "nested", "paths", "used_names")

    apply: Callable[[Item], Item]

    def __init__(self, paths: tuple[DocumentPath, ...], used_names: frozenset[str]) -> None:
        self.paths = paths
        self.used_names = used_names
        self.attributes = frozenset(cast(str, path[0]) for path in paths)
        self.nested = frozenset(cast(str, path[0]) for path in paths if len(path) > 1)
        self.apply = _applying(paths)


def _applying(paths: tuple[DocumentPath, ...]) -> Callable[[Item], Item]:
    if all(len(path) == 1 for path in paths):
        names = [cast(str, path[0]) for path in paths]
        return lambda item: {name: item[name] for name in names if name in item}
    tree = path_tree(paths)
    return lambda item: project(item, tree)


def compile_projection(text: str, names: Mapping[str, str] | None) -> Projection:
    tree = _tree(text)
    if not tree.placeholders:
        return _compiled(text, ())
    key = names_key(tree, names or {})
    if sum([len(name) for name in key if name is not None]) > EXPRESSION_BYTES_MAX:
        return _projection(tree, names or {})
    return _compiled(text, key)


@lru_cache(maxsize=PROGRAMS_KEPT)
def _tree(text: str) -> Tree:
    tree = parse_projection(text)
    for path in tree.paths:
        check_path_text(path, KIND)
    return tree


@lru_cache(maxsize=PROGRAMS_KEPT)
def _compiled(text: str, key: tuple[str | None, ...]) -> Projection:
    tree = _tree(text)
    return _projection(tree, names_of(tree, key))


def _projection(tree: Tree, names: Mapping[str, str]) -> Projection:
    findings = Findings(KIND, names)
    paths = [findings.path(path) for path in tree.paths]
    check_overlaps(paths, KIND)
    return Projection(tuple(paths), frozenset(findings.used_names))
