"""What every instance can begin with: the starter personas with their parts, the templates, this machine as target."""

from migrations_engine.models import TargetEndpoint
from migrations_engine.services.targets import target_ensure_local
from personas.services.catalogue import catalogue_install
from templates_app.services.starter_templates import starter_templates_install


def starter_ensure(*, by) -> dict[str, int]:
    """{"personas": 8, ...}: how many of each kind were made. What is there already stays as it is."""
    made = catalogue_install(by=by)
    made["templates"] = starter_templates_install(by=by)
    targets = TargetEndpoint.objects.count()
    target_ensure_local(by=by)
    made["targets"] = TargetEndpoint.objects.count() - targets
    return made
