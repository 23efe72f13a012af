"""Reads the YAML file of a study, and says at once what is wrong in it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from SegQualityQCLib.errors import InputError

from .configuration import (
    KINDS,
    Ablation,
    AttackStudy,
    CandidateNets,
    DataSource,
    Fit,
    Hardening,
    RegNetFit,
    Sampling,
    Structure,
    Study,
    Variant,
)

_SAYS = {int: "a whole number", float: "a number", str: "text: put it in quotes", bool: "true or false"}


def read_study(path: str | Path, runs: str | Path | None = None) -> Study:
    """Read a study from its YAML file.

    Args:
        path: The file.
        runs: Where runs are kept; by default the environment variable SEGQUALITY_RUNS, else ``runs``.

    Raises:
        InputError: A field is missing, unknown or of a wrong type; the message names it.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"The configuration {path} cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise InputError(f"The configuration {path} is no table of settings.")
    content["runs"] = Path(runs or os.environ.get("SEGQUALITY_RUNS", "runs"))
    nested = {
        "data": DataSource,
        "candidate_nets": CandidateNets,
        "rec_net": Fit,
        "reg_net": RegNetFit,
        "sampling": Sampling,
        "ablation": Ablation,
        "attack_study": AttackStudy,
    }
    for key, kind in nested.items():
        if key in content:
            content[key] = _build(kind, content[key], f"{path}: {key}")
    hardening = content.get("hardening", {})
    _check_methods(hardening, f"{path}: hardening")
    content["hardening"] = {
        kind: _build(Hardening, entry, f"{path}: hardening: {kind}") for kind, entry in hardening.items()
    }
    content["structures"] = tuple(
        _build(Structure, entry, f"{path}: structures") for entry in content.get("structures", ())
    )
    content["variants"] = tuple(_build(Variant, entry, f"{path}: variants") for entry in content.get("variants", ()))
    study = _build(Study, content, str(path))
    _check_methods(study.reg_net.further_epochs, f"{path}: reg_net: further_epochs")
    _check_seeds(study, path)
    _check_structures(study, path)
    _check_sizes(study, path)
    return study


def _check_methods(settings: Any, where: str) -> None:
    if not isinstance(settings, dict) or not set(settings) <= set(KINDS):
        raise InputError(f"{where} must hold settings for {' or '.join(KINDS)}, and nothing else.")


def _check_seeds(study: Study, path: str | Path) -> None:
    for kind, settings in study.hardening.items():
        if settings.seed not in (None, *study.seeds):
            raise InputError(f"{path}: hardening: {kind}: seed must be one of seeds, not {settings.seed}.")


def _check_structures(study: Study, path: str | Path) -> None:
    earlier: list[str] = []
    for structure in study.structures:
        if not structure.kinds or not set(structure.kinds) <= set(KINDS):
            raise InputError(f"{path}: structures: kinds of {structure.key} must be {' or '.join(KINDS)}, or both.")
        if structure.warm_start is not None and structure.warm_start not in earlier:
            raise InputError(
                f"{path}: structures: warm_start of {structure.key} must be the key of a structure above it, "
                f"not {structure.warm_start!r}."
            )
        earlier.append(structure.key)


def _check_sizes(study: Study, path: str | Path) -> None:
    """Windows are halved again and again by the networks: what cannot be would come out after hours."""
    if study.window_size % 16:
        raise InputError(f"{path}: window_size must be a multiple of 16, not {study.window_size}.")
    depth, side = max(study.candidate_nets.depths, default=1), study.window_size + 2 * study.margin
    parts = 2 ** (depth - 1)
    if study.window_size % parts or side % parts:
        raise InputError(
            f"{path}: for U-nets of depth {depth} window_size, and window_size with twice the margin, must be "
            f"multiples of {parts}: they are {study.window_size} and {side}."
        )


def _build(kind: type, content: Any, where: str) -> Any:
    known = {entry.name for entry in fields(kind)}
    if not isinstance(content, dict):
        raise InputError(f"{where} is no table of settings.")
    unknown = set(content) - known
    if unknown:
        raise InputError(f"{where}: unknown setting {', '.join(sorted(map(str, unknown)))}.")
    hints = get_type_hints(kind)
    values = {key: _checked(value, hints[key], f"{where}: {key}") for key, value in content.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise InputError(f"{where}: {error}.") from error


def _checked(value: Any, hint: Any, where: str) -> Any:
    """A setting as its field wants it; YAML reads 1e-3, without a point, as text."""
    kinds = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    if value is None and NoneType in kinds:
        return None
    kind = next(kind for kind in kinds if kind is not NoneType)
    if get_origin(kind) is tuple:
        return _checked_list(value, get_args(kind), where)
    if get_origin(kind) is dict:
        return _checked_table(value, get_args(kind)[1], where)
    if kind is float and not isinstance(value, bool):
        with suppress(TypeError, ValueError):
            return float(value)
    known = kind in _SAYS
    if known and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise InputError(f"{where} must be {_SAYS[kind]}, not {value!r}.")
    return value


def _checked_list(value: Any, kinds: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise InputError(f"{where} must be a list, not {value!r}: write it in brackets.")
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(value) != len(kinds):
        raise InputError(f"{where} must be a list of {len(kinds)}, not of {len(value)}.")
    return tuple(_checked(entry, kind, where) for entry, kind in zip(value, kinds, strict=True))


def _checked_table(value: Any, kind: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} must be a table of settings, not {value!r}.")
    return {key: _checked(entry, kind, f"{where}: {key}") for key, entry in value.items()}
