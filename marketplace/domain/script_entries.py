"""The entries of a bundle's settings: which of its scripts run, when, and with which secrets."""

from collections.abc import Callable, Mapping
from typing import Any

from personas.domain.scripts import USUAL_PHASE, as_text

PHASE_WORDS = {
    "first_boot": "at the first boot",
    "after_network": "once the network is up",
    "after_checks": "after the checks",
}


def entries_of(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    return (settings.get("post_migration") or {}).get("scripts") or []


def secrets_asked(settings: Mapping[str, Any]) -> list[str]:
    """Names of the secrets that its scripts are given, each once."""
    asked = (entry.get("secrets") or {} for entry in entries_of(settings))
    return list(dict.fromkeys(name for each in asked for name in each.values()))


def renamed(
    settings: dict[str, Any], *, scripts: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, Any]:
    """The settings with scripts and secrets called as the mappings say; what these do not know keeps its name."""
    entries = entries_of(settings)
    if not entries:
        return settings
    return _with(settings, [_renamed(entry, scripts, secrets) for entry in entries])


def _renamed(entry: dict[str, Any], scripts: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, Any]:
    told = {**entry, "name": scripts.get(entry["name"], entry["name"])}
    if asked := entry.get("secrets"):
        told["secrets"] = {variable: secrets.get(name, name) for variable, name in asked.items()}
    return told


def given(settings: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with `values`, {script.VARIABLE: value}, wherever they leave the variable open."""

    def told(entry: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        said = entry.get("parameters") or {}
        asked = {name: value for name, value in values.items() if name not in (entry.get("secrets") or {})}
        return {**entry, "parameters": {**asked, **said}} if asked else entry

    return _each_entry(settings, values, told)


def left_open(settings: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The other way round: without `values`, wherever they are still what the settings say."""

    def told(entry: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        said = entry.get("parameters") or {}
        kept = {name: value for name, value in said.items() if name not in values or values[name] != value}
        bare = {name: value for name, value in entry.items() if name != "parameters"}
        return {**bare, "parameters": kept} if kept else bare

    return _each_entry(settings, values, told)


def _each_entry(
    settings: dict[str, Any],
    values: Mapping[str, Any],
    told: Callable[[dict[str, Any], Mapping[str, Any]], dict[str, Any]],
) -> dict[str, Any]:
    """With the entries as `told` has them, of each the values that are for its script."""
    by_script: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        script, _, variable = name.partition(".")
        by_script.setdefault(script, {})[variable] = value
    entries = [
        told(entry, by_script[entry["name"]]) if entry["name"] in by_script else entry
        for entry in entries_of(settings)
    ]
    return _with(settings, entries) if entries else settings


def _with(settings: dict[str, Any], entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {**settings, "post_migration": {**settings["post_migration"], "scripts": entries}}


def when_words(entry: Mapping[str, Any]) -> list[str]:
    """Where and when it runs, and with what; nothing for what is as ever. Secrets are told apart."""
    told = [PHASE_WORDS[entry["phase"]]] if (entry.get("phase") or USUAL_PHASE) != USUAL_PHASE else []
    if entry.get("order") is not None:
        told.append(f"order {entry['order']}")
    if entry.get("os"):
        told.append(f"on {' and '.join(entry['os'])} only")
    if entry.get("timeout_s"):
        told.append(f"for {entry['timeout_s']} s at most")
    if entry.get("retries"):
        told.append(f"up to {1 + entry['retries']} times until it succeeds")
    if given := entry.get("parameters"):
        told.append("with " + ", ".join(f"{name}={as_text(value)}" for name, value in given.items()))
    return told
