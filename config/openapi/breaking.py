"""What a change of the description would break for those who use the API as it was.

Two descriptions are walked side by side, requests and responses each in their own direction: a
request must stay allowed, a response must stay understood. Every finding is one line that begins
with the operation, and is what a statement in docs/api-changelog.md names.
"""

from collections.abc import Iterator
from typing import Any

from config.openapi.describing import METHODS, codes

Schema = dict[str, Any]
# Bounds of what may be sent: each with how it is compared. Higher is narrower, or lower is.
_LOWER = ("minimum", "minLength", "minItems")
_FORMS = ("pattern", "format")
_ANY = ("array", "boolean", "integer", "null", "number", "object", "string")
_UPPER = ("maximum", "maxLength", "maxItems")


def breaking(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What `new` takes from callers who keep to `old`, sorted, one line each."""
    return sorted({*_Comparison(old, new).all()})


class _Comparison:
    """Two descriptions; `$ref`s are followed in the one that they stand in."""

    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self.old = old
        self.new = new

    def all(self) -> Iterator[str]:
        for path, item in self.old["paths"].items():
            for method in METHODS:
                if method not in item:
                    continue
                name = item[method]["operationId"]
                fresh = self.new["paths"].get(path, {}).get(method)
                if fresh is None:
                    yield f"{name}: {method.upper()} {path} is gone"
                else:
                    yield from self._operation(name, item[method], fresh)

    def _operation(self, name: str, old: Any, new: Any) -> Iterator[str]:
        if new["operationId"] != name:
            yield f"{name}: is called {new['operationId']} now"
        yield from self._security(name, old, new)
        yield from self._parameters(name, old, new)
        yield from self._body(name, old, new)
        yield from self._responses(name, old, new)

    def _security(self, name: str, old: Any, new: Any) -> Iterator[str]:
        """Each way in that there was must still be one."""
        for way in old.get("security", []):
            if way not in new.get("security", []) and {} not in new.get("security", [{}]):
                yield f"{name}: security {way} is gone"

    # --- Requests -------------------------------------------------------------------------------

    def _parameters(self, name: str, old: Any, new: Any) -> Iterator[str]:
        had, has = _parameters(old), _parameters(new)
        for key, parameter in has.items():
            told = f"{name}: {key[0]} parameter `{key[1]}`"
            before = had.get(key)
            if parameter.get("required") and not (before or {}).get("required"):
                yield f"{told} is required now"
            if before is not None:
                yield from self._narrowed(told, before["schema"], parameter["schema"])
        for where, parameter_name in had.keys() - has.keys():
            yield f"{name}: {where} parameter `{parameter_name}` is gone"

    def _body(self, name: str, old: Any, new: Any) -> Iterator[str]:
        had, has = old.get("requestBody"), new.get("requestBody")
        if had is None or has is None:
            if (has or {}).get("required"):
                yield f"{name}: a body is required now"
            if had is not None:
                yield f"{name}: takes no body any more"
            return
        if has.get("required") and not had.get("required"):
            yield f"{name}: a body is required now"
        for kind, media in had["content"].items():
            if kind not in has["content"]:
                yield f"{name}: request {kind} is gone"
            else:
                told = f"{name}: request"
                yield from self._narrowed(told, media["schema"], has["content"][kind]["schema"])

    def _narrowed(self, told: str, old: Schema, new: Schema, seen: tuple = ()) -> Iterator[str]:
        """What could be sent and cannot any more."""
        old, new, pair = self._pair(old, new)
        if pair in seen:
            return
        seen = (*seen, pair)
        yield from _refused(told, old, new)
        yield from _bounds(told, old, new)
        for field in sorted(_required(new) - _required(old)):
            yield f"{told} field `{field}` is required now"
        if new.get("additionalProperties") is False:
            for field in sorted(_fields(old).keys() - _fields(new).keys()):
                yield f"{told} field `{field}` is gone"
        for name, inner, fresh in _inner(old, new):
            yield from self._narrowed(f"{told}{name}", inner, fresh, seen)

    # --- Responses ------------------------------------------------------------------------------

    def _responses(self, name: str, old: Any, new: Any) -> Iterator[str]:
        for status, response in old["responses"].items():
            told = f"{name}: response {status}"
            fresh = new["responses"].get(status)
            if fresh is None:
                yield f"{told} is gone"
                continue
            for header, described in response.get("headers", {}).items():
                kept = fresh.get("headers", {}).get(header)
                if kept is None or (described.get("required") and not kept.get("required")):
                    yield f"{told} header {header} is gone, or not always there"
            # Callers decide by codes: one that goes has gone elsewhere, or has another name.
            for code in sorted(codes(response).keys() - codes(fresh).keys()):
                yield f"{told} code `{code}` is gone"
            yield from self._contents(told, response, fresh)

    def _contents(self, told: str, old: Any, new: Any) -> Iterator[str]:
        had, has = old.get("content", {}), new.get("content", {})
        for kind, media in had.items():
            if kind not in has:
                yield f"{told} {kind} is gone"
            else:
                yield from self._widened(told, media["schema"], has[kind]["schema"])

    def _widened(self, told: str, old: Schema, new: Schema, seen: tuple = ()) -> Iterator[str]:
        """What was promised to be there and is not, or may be what nobody expects."""
        old, new, pair = self._pair(old, new)
        if pair in seen:
            return
        seen = (*seen, pair)
        for kind in _beyond(_types(new), _types(old)):
            yield f"{told} may be {kind} now"
        for value in _lost(new.get("enum"), old.get("enum")):
            yield f"{told} may be {value} now"
        if old.get("format") not in (None, new.get("format")):
            yield f"{told} is no longer {old['format']}"
        for field in sorted(_fields(old).keys() - _fields(new).keys()):
            yield f"{told} field `{field}` is gone"
        for field in sorted((_required(old) - _required(new)) & _fields(new).keys()):
            yield f"{told} field `{field}` is not always there now"
        yield from self._variants(told, old, new, seen)
        for name, inner, fresh in _inner(old, new):
            yield from self._widened(f"{told}{name}", inner, fresh, seen)

    def _variants(self, told: str, old: Schema, new: Schema, seen: tuple) -> Iterator[str]:
        """Of several shapes, each that there was must be there, and none that is new."""
        had, has = _shapes(old), _shapes(new)
        for shape in sorted(had.keys() - has.keys()):
            yield f"{told} is no {shape} any more"
        for shape in sorted(has.keys() - had.keys()):
            yield f"{told} may be {shape} now"
        for shape in sorted(had.keys() & has.keys()):
            yield from self._widened(told, had[shape], has[shape], seen)

    # --- Either ---------------------------------------------------------------------------------

    def _pair(self, old: Schema, new: Schema) -> tuple[Schema, Schema, tuple[str, str]]:
        """Both, resolved; and the names that they go by, so that a circle is walked once."""
        names = (old.get("$ref", f"{id(old)}"), new.get("$ref", f"{id(new)}"))
        return _resolved(old, self.old), _resolved(new, self.new), names


def _resolved(schema: Schema, document: dict[str, Any]) -> Schema:
    """Without `$ref`, and with `oneOf: [x, null]` as what it is: x, or null."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _resolved(document["components"]["schemas"][name], document)
    shapes = [each for each in _several(schema) if each.get("type") != "null"]
    if len(shapes) != 1 or len(_several(schema)) == 1:
        return schema
    inner = _resolved(shapes[0], document)
    return {**inner, "type": [*sorted(_types(inner)), "null"]}


def _several(schema: Schema) -> list[Schema]:
    return schema.get("oneOf") or schema.get("anyOf") or []


def _shapes(schema: Schema) -> dict[str, Schema]:
    """What a value may be of, by name."""
    return {
        str(each.get("$ref", each.get("type", "?"))).rpartition("/")[2]: each
        for each in _several(schema)
    }


def _types(schema: Schema) -> set[str]:
    """The types that a value may have; empty for one of several shapes."""
    if _several(schema):
        return set()
    kind = schema.get("type", _ANY)
    return {kind} if isinstance(kind, str) else set(kind)


def _beyond(some: set[str], others: set[str]) -> list[str]:
    """The types of `some` that `others` do not take; whoever takes numbers takes integers."""
    return sorted(some - others - ({"integer"} if "number" in others else set()))


def _fields(schema: Schema) -> dict[str, Schema]:
    found: dict[str, Schema] = schema.get("properties", {})
    return found


def _required(schema: Schema) -> set[str]:
    return set(schema.get("required", ()))


def _inner(old: Schema, new: Schema) -> Iterator[tuple[str, Schema, Schema]]:
    """The fields and items that both have, each with its name."""
    had, has = _fields(old), _fields(new)
    for field in sorted(had.keys() & has.keys()):
        yield f".{field}", had[field], has[field]
    for word, name in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(old.get(word), dict) and isinstance(new.get(word), dict):
            yield name, old[word], new[word]


def _refused(told: str, old: Schema, new: Schema) -> Iterator[str]:
    """The kinds, values and shapes that could be sent and cannot any more."""
    gone = [*_beyond(_types(old), _types(new)), *_lost(old.get("enum"), new.get("enum"))]
    for value in [*gone, *sorted(_shapes(old).keys() - _shapes(new).keys())]:
        yield f"{told} may not be {value} any more"


def _bounds(told: str, old: Schema, new: Schema) -> Iterator[str]:
    """The limits that are tighter now."""
    endless = float("inf")
    tighter = [word for word in _LOWER if new.get(word, -endless) > old.get(word, -endless)]
    tighter += [word for word in _UPPER if new.get(word, endless) < old.get(word, endless)]
    tighter += [
        word for word in ("pattern", "format") if new.get(word) not in (None, old.get(word))
    ]
    for word in tighter:
        yield f"{told} {word} is {new[word]} now"
    if (old.get("additionalProperties"), new.get("additionalProperties")) == (None, False):
        yield f"{told} refuses other fields now"


def _lost(wide: list[Any] | None, narrow: list[Any] | None) -> list[Any]:
    """Values of `wide` that `narrow` does not have; no list is every value."""
    if narrow is None:
        return []
    if wide is None:
        return ["other values"]
    return [value for value in wide if value not in narrow]


def _parameters(operation: Any) -> dict[tuple[str, str], Any]:
    return {(each["in"], each["name"]): each for each in operation.get("parameters", ())}
