"""The rules of rooms: what of a tree of packages is not as a plan says, rule by rule. `tests/house` has the plan."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import grimp

LONG = 350
MOST = 9
ASKED_EVERYWHERE = {"Mix", "Residual"}
"""Kinds of nodes that code outside of the room of kinds may ask for: what mixes, and what adds to its input."""


@dataclass(frozen=True)
class Plan:
    """What the house is meant to be. Several names are one text with blanks between them."""

    may: Mapping[str, str]
    """Room -> the rooms that it may import, beside the `errors` of its own package. A package is all of its rooms."""
    lists: Mapping[str, str]
    """Room whose files are all alike -> its machinery: those files that are no entries of its list."""
    outside: Mapping[str, str]
    """Package that takes long to load, or has one place -> the rooms and files that import it."""
    long: Mapping[str, str]
    """File of more than LONG lines -> why it is one file."""


@dataclass(frozen=True)
class House:
    """Packages as they lie there. A file is its path without `.py`, and a folder stands for its `__init__`."""

    folders: frozenset[str]
    text: Mapping[str, str]
    imports: Mapping[str, frozenset[str]]
    """Module -> what it imports anywhere: in a function, under TYPE_CHECKING, by its name in a text, from outside."""

    @classmethod
    def read(cls, *packages: str) -> House:
        graph = grimp.build_graph(*packages, include_external_packages=True, cache_dir=None)
        text, folders = {}, set()
        for package in packages:
            spec = importlib.util.find_spec(package)
            assert spec and spec.origin
            top = Path(spec.origin).parent
            for path in sorted(top.rglob("*.py")):
                module = "/".join((package, *path.relative_to(top).with_suffix("").parts))
                if path.name == "__init__.py":
                    module = module.removesuffix("/__init__")
                    folders.add(module)
                text[module] = path.read_text(encoding="utf-8")
        imports = {}
        for module, source in text.items():
            found = graph.find_modules_directly_imported_by(module.replace("/", "."))
            known = {name.replace(".", "/") for name in found | texts_in(source)}
            imports[module] = frozenset(known - {module})
        return cls(frozenset(folders), text, imports)

    def inside(self) -> Iterator[tuple[str, str]]:
        """All pairs of a module and another of the packages that it imports."""
        return ((module, other) for module, others in self.imports.items() for other in others if other in self.text)

    def files(self, folder: str) -> list[str]:
        """The names of the files of a folder, without those that every folder has and `errors`."""
        names = (module.rpartition("/") for module in self.text if module not in self.folders)
        return [name for above, _, name in names if above == folder and name not in ("__main__", "errors")]

    def nodes(self, module: str) -> tuple[ast.AST, ...]:
        return nodes(self.text[module])


@cache
def nodes(source: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(source)))


def texts_in(source: str) -> set[str]:
    """The names with a point in them that stand as a text, as in `import_module("nas.training.fit")`."""
    values = (node.value for node in nodes(source) if isinstance(node, ast.Constant))
    return {value for value in values if isinstance(value, str) and re.fullmatch(r"\w+(\.\w+)+", value)}


def is_in(module: str, places: str) -> bool:
    """Whether a module is one of some rooms, packages or files, or lies in one."""
    return any(f"{module}/".startswith(f"{place}/") for place in places.split())


def room_of(module: str, plan: Plan) -> str:
    """The room in which a module lies; the `errors` of a package, which all of its rooms may import, are one."""
    above, _, name = module.rpartition("/")
    if name == "errors":
        return module
    return max((room for room in plan.may if is_in(module, room)), key=len, default=above or module)


def circles(links: Iterator[tuple[str, str]]) -> set[str]:
    """Those that lead to one another: each group a text."""
    ways: dict[str, set[str]] = {}
    for start, end in links:
        ways.setdefault(start, set()).add(end)

    @cache
    def beyond(start: str) -> frozenset[str]:
        seen, todo = set(), [start]
        while todo:
            new = ways.get(todo.pop(), set()) - seen
            seen |= new
            todo += new
        return frozenset(seen)

    groups = ({end for end in beyond(start) if start in beyond(end)} for start in ways)
    return {" <-> ".join(sorted(group)) for group in groups if group}


def no_room(house: House, plan: Plan) -> set[str]:
    """The rooms of the plan are the folders, and what lies at the top of a package whose files are no list."""
    tops = {folder for folder in house.folders if "/" not in folder and folder not in plan.lists}
    return (house.folders | {f"{top}/{name}" for top in tops for name in house.files(top)}) ^ set(plan.may)


def not_allowed(house: House, plan: Plan) -> set[str]:
    """A room imports the rooms that the plan says, and its package's errors."""
    found = set()
    for module, other in house.inside():
        start, end = room_of(module, plan), room_of(other, plan)
        own = (start, f"{module.partition('/')[0]}/errors")
        if end not in own and not is_in(end, plan.may.get(start, "")):
            found.add(f"{module} -> {other}")
    return found


def circles_of_files(house: House, plan: Plan) -> set[str]:
    return circles(house.inside())


def circles_of_rooms(house: House, plan: Plan) -> set[str]:
    rooms = ((room_of(module, plan), room_of(other, plan)) for module, other in house.inside())
    return circles((start, end) for start, end in rooms if start != end)


def outside_packages(house: House, plan: Plan) -> set[str]:
    """Who imports a package that has its places; and a place that imports it no longer."""
    found = set()
    for package, places in plan.outside.items():
        users = {module for module, others in house.imports.items() if package in others}
        found |= {f"{module} -> {package}" for module in users if not is_in(module, places)}
        unused = (place for place in places.split() if not any(is_in(module, place) for module in users))
        found |= {f"{place} -> no {package}" for place in unused}
    return found


def not_in_its_list(house: House, plan: Plan) -> set[str]:
    """The `__init__` of a room that is a list imports every file of it, or names it; its machinery is there."""
    found = set()
    for room, machinery in plan.lists.items():
        if room not in house.folders:
            found.add(room)
            continue
        listed = set(machinery.split())
        for node in house.nodes(room):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                listed |= {name for alias in node.names for name in alias.name.split(".")}
                listed |= set((getattr(node, "module", None) or "").split("."))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                listed.add(node.value)
        files = set(house.files(room))
        found |= {f"{room}/{name}" for name in (files - listed) | (set(machinery.split()) - files)}
    return found


def too_many_files(house: House, plan: Plan) -> set[str]:
    return {folder for folder in house.folders - set(plan.lists) if len(house.files(folder)) > MOST}


def too_long(house: House, plan: Plan) -> set[str]:
    """A long file without a reason, and a reason without a long file."""
    long = {module for module, text in house.text.items() if len(text.splitlines()) > LONG}
    return long ^ set(plan.long)


def kinds_asked(house: House, plan: Plan) -> set[str]:
    """Outside of the room of kinds nobody asks whether a node is one of a kind, but of those that mix or add."""
    kinds = {
        node.name
        for module in house.text
        if "/kinds/" in module
        for node in house.nodes(module)
        if isinstance(node, ast.ClassDef)
    }
    found = set()
    for module in house.text:
        if "/kinds/" not in module:
            asked = {name for node in house.nodes(module) for name in classes_asked(node)}
            found |= {f"{module}: {name}" for name in asked & kinds - ASKED_EVERYWHERE}
    return found


def classes_asked(node: ast.AST) -> set[str]:
    """The classes for which an `isinstance`, a `case` or a comparison with `type(…)` asks."""
    match node:
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, classes]):
            return names_in(classes)
        case ast.MatchClass(cls=asked):
            return names_in(asked)
        case ast.Compare(left=ast.Call(func=ast.Name(id="type")), comparators=[classes]):
            return names_in(classes)
    return set()


def names_in(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} | {
        each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute)
    }


def hidden(house: House, plan: Plan) -> set[str]:
    """A module of a package with the name of what the package offers: once imported, it is there in its place."""
    found = set()
    for package in (folder for folder in house.folders if "/" not in folder):
        text = next((ast.unparse(line) for line in house.nodes(package) if is_offer(line)), "")
        offered = set(re.findall(r"'(\w+)'", text))
        found |= {f"{package}/{name}" for name in offered if f"{package}/{name}" in house.text}
    return found


def is_offer(line: ast.AST) -> bool:
    """Whether a line is `__all__ = …`."""
    return isinstance(line, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in line.targets)


def privates_taken(house: House, plan: Plan) -> set[str]:
    """What begins with an underscore is its file's alone."""
    return {
        f"{module}: {alias.name}"
        for module in house.text
        for node in house.nodes(module)
        if isinstance(node, ast.ImportFrom) and (node.module or "").replace(".", "/") in house.text
        for alias in node.names
        if alias.name.startswith("_")
    }


def more_than_a_docstring(house: House, plan: Plan) -> set[str]:
    """The `__init__` of a room that is no list says the room's job in a line, and no more."""
    rooms = {folder for folder in house.folders if "/" in folder} - set(plan.lists)
    return {room for room in rooms if not re.fullmatch(r'"""[^\n]+"""\n', house.text[room])}


RULES: dict[str, Callable[[House, Plan], set[str]]] = {
    rule.__name__: rule
    for rule in (
        no_room,
        not_allowed,
        circles_of_files,
        circles_of_rooms,
        outside_packages,
        not_in_its_list,
        too_many_files,
        too_long,
        kinds_asked,
        hidden,
        privates_taken,
        more_than_a_docstring,
    )
}
