"""Other names for software, extended by administrators; in force at once where they are met."""

from django.db import transaction
from django.db.models import Q

from analyzer.domain.name_mapping import WILD
from analyzer.domain.software import head, meaning
from analyzer.models import Fingerprint, Package, Service, SoftwareName
from analyzer.services.candidates import personas_of
from analyzer.services.recommendations import recommendation_make
from analyzer.services.scans import facts_understood
from personas.errors import BadInput
from personas.models import Department
from personas.services.rows import row_create, row_delete, row_update

AT_ONCE = 20  # machines looked at again before the answer; the others by the fleet task
IN_ONE_RUN = 500


def software_name_create(*, name: str, means: str = "", department: Department | None, by) -> SoftwareName:
    """Raises BadInput where `means` is nothing that is known."""
    row = SoftwareName(name=name.strip(), means=means.strip(), department=department)
    _require_known(row)
    made = row_create(row=row, by=by)
    _names_changed(made.department, made.name)
    return made


def software_name_update(*, row: SoftwareName, by, expected: str | None = None, **values: str) -> SoftwareName:
    """`values`: name, means."""
    asked = {field: value.strip() for field, value in values.items()}
    before = row.name
    _require_known(SoftwareName(department=row.department, **{"name": row.name, "means": row.means} | asked))
    changed = row_update(row=row, by=by, values=asked, expected=expected)
    _names_changed(changed.department, before, changed.name)
    return changed


def software_name_delete(*, row: SoftwareName, by) -> None:
    department, name = row.department, row.name
    row_delete(row=row, by=by)
    _names_changed(department, name)


def _require_known(row: SoftwareName) -> None:
    if not row.means or meaning(row.means)[0]:
        return
    hints = {head(str(hint)) for persona in personas_of(row.department) for hint in persona.hints}
    if head(row.means) not in hints:
        told = "is not known, and no persona hints at it: say a program such as nginx or postgresql"
        raise BadInput({"means": [told]})


def _names_changed(department: Department | None, *names: str) -> None:
    met = Fingerprint.objects.filter(_machines_with(names))
    if department:
        met = met.filter(vm__department=department)
    met.update(stale=True)
    fingerprints_refresh(limit=AT_ONCE)


def _machines_with(names: tuple[str, ...]) -> Q:
    """Machines on which a name begins like one of these, in this spelling or in small letters: by the index."""
    begins = Q()
    for name in names:
        start = WILD.split(name)[0]
        for spelling in {start, start.lower()}:
            begins |= Q(name__startswith=spelling)
    packages, services = Package.objects.filter(begins), Service.objects.filter(begins)
    return Q(vm__in=packages.values("vm")) | Q(vm__in=services.values("vm"))


def fingerprints_refresh(*, limit: int = IN_ONE_RUN) -> int:
    """How many machines were looked at again because a name on them has another meaning now. Run again, it goes on."""
    waiting = Fingerprint.objects.filter(stale=True).order_by("pk").values_list("pk", flat=True)
    return sum(_refresh(pk) for pk in list(waiting[:limit]))


@transaction.atomic
def _refresh(pk) -> bool:
    row = Fingerprint.objects.select_related("scan__vm__department").filter(pk=pk, stale=True).first()
    if row is None:
        return False
    facts = facts_understood(row.scan)
    if facts is None:
        Fingerprint.objects.filter(pk=pk).update(stale=False)  # until the next scan tells more
        return False
    recommendation_make(scan=row.scan, facts=facts)
    return True
