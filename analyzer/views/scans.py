"""One scan: the facts as they were found."""

from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, render

from analyzer.models import Scan
from analyzer.services.scan_changes import scan_before, scan_changes
from analyzer.services.scans import facts_of


@login_required
def scan_detail(request, pk):
    scans = Scan.objects.visible_to(request.user).select_related("vm", "requested_by")
    scan = get_object_or_404(scans, pk=pk)
    context = {"scan": scan, "vm": scan.vm, "facts": facts_of(scan)}
    context |= {"changes": scan_changes(scan), "changes_since": scan_before(scan)}
    return render(request, "analyzer/scan_detail.html", context)
