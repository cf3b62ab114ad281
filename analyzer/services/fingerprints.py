"""What of a scan the recommender needs later, in short."""

from analyzer.domain.estate_map import cell_of
from analyzer.domain.facts import OperatingSystem
from analyzer.domain.kinds import family_of
from analyzer.domain.recommend import Ranking
from analyzer.domain.software import Workload, head
from analyzer.models import Fingerprint, Scan

MOST_NAMES = 60


def fingerprint_store(
    *, scan: Scan, system: OperatingSystem, found: Workload, ranking: Ranking
) -> Fingerprint:
    """Call it in the transaction that makes the suggestion; the fleet scores it again with all others."""
    column, row = cell_of(found.evidence)
    values = {
        "scan": scan,
        "evidence": {trade: round(weight, 4) for trade, weight in found.evidence.items() if weight >= 0.005},
        "names": _strongest(found),
        "unexplained": sorted({head(name) for name in found.unexplained})[:MOST_NAMES],
        "system": {"id": system.id, "version": system.version, "like": list(system.like)},
        "kind": family_of(found.evidence),
        "cell_x": column,
        "cell_y": row,
        "persona_id": ranking.best.persona if ranking.best else None,
        "score": ranking.ranked[0].score if ranking.ranked else 0,
        "no_fit": ranking.no_fit,
        "scored_as": "",
        "stale": False,
    }
    return Fingerprint.objects.update_or_create(vm=scan.vm, defaults=values)[0]


def _strongest(found: Workload) -> dict[str, float]:
    first = sorted(found.names.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_NAMES]
    return {name: round(weight, 3) for name, weight in first}
