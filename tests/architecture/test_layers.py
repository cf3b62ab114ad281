"""What import-linter cannot see: links between models are strings, so an app could point upwards without an import."""

import tomllib

from django.apps import apps

from config.bootstrap.progress import ROOT


def heights() -> dict[str, int]:
    """The height of each app, from the same table that import-linter reads: `{"personas": 0, ...}`."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [
        contract["layers"] for contract in contracts if "containers" not in contract and "layers" in contract
    ]
    return {app.strip(): height for height, layer in enumerate(reversed(layers)) for app in layer.split("|")}


def test_a_link_between_models_points_down_or_stays():
    height = heights()
    upwards = [
        f"{model.__name__}.{field.name} -> {field.related_model._meta.label}"
        for model in apps.get_models()
        if model._meta.app_label in height
        for field in model._meta.get_fields()
        if field.is_relation and not field.auto_created and field.related_model
        if (other := field.related_model._meta.app_label) in height and other != model._meta.app_label
        if height[other] >= height[model._meta.app_label]
    ]
    assert upwards == []


def test_every_app_of_ours_has_its_place():
    ours = {
        app.label
        for app in apps.get_app_configs()
        if str(ROOT) in app.path and "site-packages" not in app.path
    }
    assert ours == set(heights())
