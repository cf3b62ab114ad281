"""Every page's filters, by the words over their boxes."""

import importlib

from django_filters import FilterSet

APPS = ("personas", "templates_app", "analyzer", "migrations_engine", "marketplace")


def filter_sets(above=FilterSet):
    for each in above.__subclasses__():
        yield each
        yield from filter_sets(each)


def test_every_filter_is_named():
    """django-filter makes a label of a column, and “[invalid name]” or “Licence contains” where there is none."""
    for app in APPS:
        importlib.import_module(f"{app}.filters")
    ours = [each for each in filter_sets() if each.__module__.split(".")[0] in APPS and each._meta.model]
    assert len(ours) > 10
    said = {
        f"{each.__name__}.{name}": str(row.label) for each in ours for name, row in each().filters.items()
    }
    assert {
        name: label for name, label in said.items() if "invalid" in label or label.endswith("contains")
    } == {}
