"""Reads the YAML file of a study; what is wrong in it is one sentence that names the setting."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from cattrs import (
    AttributeValidationNote,
    BaseValidationError,
    Converter,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)
from cattrs.cols import mapping_structure_factory
from cattrs.gen import make_dict_structure_fn

from SegQualityQCLib.errors import InputError

from .configuration import MADE_MASKS, METHODS, CandidateNets, Study

_Hook = Callable[[Any, Any], Any]  # value, type -> setting


def read_study(path: str | Path, runs: str | Path | None = None) -> Study:
    """Read a study from its YAML file.

    Args:
        path: The file.
        runs: Folder of the runs; by default the environment variable SEGQUALITY_RUNS, else ``runs``.

    Raises:
        InputError: A setting is missing, unknown or of a wrong type; the message names it.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"The configuration {path} cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise InputError(f"The configuration {path} is not a table of settings.")
    content["runs"] = Path(runs or os.environ.get("SEGQUALITY_RUNS", "runs"))
    try:
        study = _converter().structure(content, Study)
    except BaseValidationError as error:
        raise InputError(f"{path}{_first_fault(error)}.") from error
    _check_methods(study, path)
    _check_seeds(study, path)
    _check_structures(study, path)
    _check_candidate_nets(study.candidate_nets, path)
    _check_made(study, path)
    _check_sizes(study, path)
    return study


def _converter() -> Converter:
    """A converter whose hooks say what is wrong with a value."""
    converter = Converter()
    for kind, says in ((int, "a whole number"), (str, "text: put it in quotes"), (bool, "true or false")):
        converter.register_structure_hook(kind, _exactly(kind, says))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(Path, lambda value, _: value)
    converter.register_structure_hook_factory(lambda hint: get_origin(hint) is tuple, _list_hook)
    converter.register_structure_hook_factory(lambda hint: get_origin(hint) is dict, _table_hook)
    converter.register_structure_hook_factory(is_dataclass, _section_hook)
    return converter


def _exactly(kind: type, says: str) -> _Hook:
    def checked(value: Any, _: Any) -> Any:
        if type(value) is not kind:  # isinstance would take true for a whole number
            raise ValueError(f"must be {says}, not {value!r}")
        return value

    return checked


def _number(value: Any, _: Any) -> float:
    """A number; YAML reads 1e-3, without a point, as text."""
    if not isinstance(value, bool):
        with suppress(TypeError, ValueError):
            return float(value)
    raise ValueError(f"must be a number, not {value!r}")


def _list_hook(hint: Any, converter: Converter) -> _Hook:
    def read(value: Any, _: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(f"must be a list, not {value!r}: write it in brackets")
        kinds = get_args(hint)
        if kinds[-1] is Ellipsis:
            kinds = (kinds[0],) * len(value)
        if len(value) != len(kinds):
            raise ValueError(f"must be a list of {len(kinds)}, not of {len(value)}")
        return tuple(converter.structure(entry, kind) for entry, kind in zip(value, kinds, strict=True))

    return read


def _table_hook(hint: Any, converter: Converter) -> _Hook:
    return _of_table(mapping_structure_factory(hint, converter))


def _section_hook(section: Any, converter: Converter) -> _Hook:
    return _of_table(make_dict_structure_fn(section, converter, _cattrs_forbid_extra_keys=True))


def _of_table(read: _Hook) -> _Hook:
    def checked(value: Any, hint: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"must be a table of settings, not {value!r}")
        return read(value, hint)

    return checked


def _first_fault(error: BaseException) -> str:
    """The first fault that cattrs found, after the names of the sections and the setting that it lies in."""
    if isinstance(error, BaseValidationError):
        unknown = (fault for fault in error.exceptions if isinstance(fault, ForbiddenExtraKeysError))
        fault = next(unknown, error.exceptions[0])  # a misspelt setting is unknown, and the right one missing
        return "".join(f": {name}" for name in _noted_names(fault)) + _first_fault(fault)
    if isinstance(error, ForbiddenExtraKeysError):
        return f": unknown setting {', '.join(sorted(map(str, error.extra_fields)))}"
    return " is missing" if isinstance(error, KeyError) else f" {error}"


def _noted_names(error: BaseException) -> list[str]:
    names = []
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            names.append(note.name)
        elif isinstance(note, IterableValidationNote):
            names.append(str(note.index))
    return names


def _check_methods(study: Study, path: str | Path) -> None:
    for where, settings in (("hardening", study.hardening), ("reg_net: further_epochs", study.reg_net.further_epochs)):
        if not set(settings) <= set(METHODS):
            raise InputError(f"{path}: {where} must hold settings for {' or '.join(METHODS)}, and nothing else.")


def _check_seeds(study: Study, path: str | Path) -> None:
    for method, settings in study.hardening.items():
        if settings.seed not in (None, *study.seeds):
            raise InputError(f"{path}: hardening: {method}: seed must be one of seeds, not {settings.seed}.")


def _check_structures(study: Study, path: str | Path) -> None:
    earlier: list[str] = []
    for structure in study.structures:
        if not structure.kinds or not set(structure.kinds) <= set(METHODS):
            raise InputError(f"{path}: structures: kinds of {structure.key} must be {' or '.join(METHODS)}, or both.")
        if structure.warm_start is not None and structure.warm_start not in earlier:
            raise InputError(
                f"{path}: structures: warm_start of {structure.key} must be the key of a structure above it, "
                f"not {structure.warm_start!r}."
            )
        earlier.append(structure.key)


def _check_candidate_nets(nets: CandidateNets, path: str | Path) -> None:
    """Either U-nets or architectures by folds; each has what it needs."""
    where = f"{path}: candidate_nets"
    if not nets.architectures:
        for name in ("depths", "filters", "readouts"):
            if not getattr(nets, name):
                raise InputError(f"{where}: {name} is missing.")
        if nets.unseen_architecture or nets.hospitals or nets.parts:
            raise InputError(f"{where}: unseen_architecture, hospitals and parts need architectures.")
        return
    if nets.depths or nets.filters or nets.readouts:
        raise InputError(f"{where}: give depths, filters and readouts, or architectures, not both.")
    names = [architecture.name for architecture in nets.architectures]
    if len(set(names)) < len(names):
        raise InputError(f"{where}: two architectures have the same name: {', '.join(sorted(names))}.")
    if nets.unseen_architecture not in (None, *names):
        raise InputError(
            f"{where}: unseen_architecture must be one of {', '.join(names)}, not {nets.unseen_architecture!r}."
        )
    if set(names) == {nets.unseen_architecture}:
        raise InputError(f"{where}: name an architecture beside the unseen one, to train REG-Nets on its candidates.")
    if nets.parts == 1 or nets.parts < 0 or not (nets.hospitals or nets.parts):
        raise InputError(f"{where}: folds are needed: name hospitals, or parts of at least 2.")
    for architecture in nets.architectures:
        ascending = sorted(set(architecture.readouts)) == list(architecture.readouts)
        if not architecture.readouts or not ascending or architecture.readouts[0] < 1:
            raise InputError(f"{where}: readouts of {architecture.name} must be ascending epochs from 1 on.")


def _check_made(study: Study, path: str | Path) -> None:
    made, perturbed = study.sampling.made, study.sampling.perturbed
    if not set(made) <= set(MADE_MASKS):
        raise InputError(f"{path}: sampling: made must hold shares of {', '.join(MADE_MASKS)}, and nothing else.")
    if min((perturbed, *made.values())) < 0 or perturbed + sum(made.values()) > 1:
        raise InputError(f"{path}: sampling: the shares of perturbed and made masks must be from 0 to 1 in all.")


def _check_sizes(study: Study, path: str | Path) -> None:
    """The networks halve the window several times: a size that cannot be halved would fail after hours."""
    if study.window_size % 16:
        raise InputError(f"{path}: window_size must be a multiple of 16, not {study.window_size}.")
    depth, side = max(study.candidate_nets.depths, default=1), study.window_size + 2 * study.margin
    parts = 2 ** (depth - 1)
    if study.window_size % parts or side % parts:
        raise InputError(
            f"{path}: for U-nets of depth {depth} window_size, and window_size with twice the margin, must be "
            f"multiples of {parts}: they are {study.window_size} and {side}."
        )
