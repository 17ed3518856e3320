"""Options that belong together, as one value: a dataclass whose fields they are."""

from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """A command for Typer: a parameter that is a dataclass becomes an option for each field.

    They stand in its place, in the order of the fields, which may be dataclasses themselves; the
    command gets them as one value.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if _is_group(kind)}
    parameters: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        if name in groups:
            parameters += _options(groups[name])
        else:
            parameters.append(parameter.replace(annotation=hints[name]))

    @wraps(command)
    def call(**values: Any) -> None:
        for name, kind in groups.items():
            values[name] = _value(kind, values)
        command(**values)

    # Who looks at the signature shall see the options.
    del call.__wrapped__
    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and is_dataclass(kind)


def _options(group: Any) -> Iterator[Parameter]:
    kinds = get_type_hints(group, include_extras=True)
    for field in fields(group):
        kind, default = kinds[field.name], field.default
        if _is_group(kind):
            yield from _options(kind)
        else:
            default = Parameter.empty if default is MISSING else default
            yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _value(group: Any, values: dict[str, Any]) -> Any:
    """The group, its options taken out of the values."""
    kinds = get_type_hints(group)
    return group(
        **{
            name: _value(kinds[name], values) if _is_group(kinds[name]) else values.pop(name)
            for name in (field.name for field in fields(group))
        }
    )
