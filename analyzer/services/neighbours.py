"""The machine that is most like another among those whose persona is known: an example says more than a score."""

import math
from collections.abc import Mapping

from analyzer.models import Fingerprint, VirtualMachine
from personas.models import Persona

LOOKED_AT = 500  # of the same kind; more would not be nearer by anything that a person can see


def nearest_known(vm: VirtualMachine, *, by, persona: Persona | None) -> tuple[VirtualMachine, float] | None:
    """(machine that carries the persona, likeness 0..1) among those that the reader sees; None where there is none."""
    own = Fingerprint.objects.filter(vm=vm).first()
    if own is None or persona is None:
        return None
    known = Fingerprint.objects.visible_to(by).filter(vm__vm_personas__persona=persona, kind=own.kind)
    known = known.exclude(vm=vm).select_related("vm").order_by("pk").distinct()[:LOOKED_AT]
    rated = [(likeness(own.evidence, each.evidence), each.vm) for each in known]
    best = max(rated, key=lambda pair: (pair[0], pair[1].name), default=None)
    return (best[1], round(best[0], 2)) if best else None


def likeness(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Cosine of the evidence."""
    both = math.fsum(weight * other.get(trade, 0) for trade, weight in one.items())
    sizes = math.hypot(*one.values()) * math.hypot(*other.values())
    return both / sizes if sizes else 0.0
