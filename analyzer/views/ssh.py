"""Running machines of a source: the login, and the host keys that a person confirms."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from analyzer.domain.libvirt_address import parse_libvirt_address
from analyzer.forms import SshForm
from analyzer.models import SourceEndpoint, SshAccess
from analyzer.permissions import may
from analyzer.services.ssh_access import ssh_access_set, ssh_hosts_confirm, takes_login
from analyzer.views.answers import saved, told
from analyzer.views.sources import source_or_404
from personas.models import Role


def _admin_source(request, pk) -> SourceEndpoint:
    source = source_or_404(request, pk)
    if not may(request.user, source.department, Role.ADMIN):
        raise PermissionDenied
    return source


@login_required
def source_ssh(request, pk):
    source = _admin_source(request, pk)
    if not takes_login(source):
        messages.error(request, f"Nobody logs in to the machines of {source}.")
        return redirect("analyzer:source_detail", pk=pk)
    access = SshAccess.objects.filter(source=source).first()
    form = SshForm(
        request.POST or None,
        initial=_initial(source, access),
        known=access is not None,
        hypervisor=source.is_libvirt,
    )
    if request.method == "POST" and form.is_valid():
        by = request.user
        if saved(request, form, lambda: ssh_access_set(source=source, by=by, **form.cleaned_data)):
            messages.success(
                request,
                f"The login is kept: now discover {source}, then confirm the host key."
                if source.is_libvirt
                else "The login is kept: now discover the machines, then confirm their keys.",
            )
            return redirect("analyzer:source_detail", pk=pk)
    cancel = reverse("analyzer:source_detail", args=[pk])
    return render(request, "analyzer/source_ssh.html", {"form": form, "source": source, "cancel_url": cancel})


def _initial(source: SourceEndpoint, access: SshAccess | None) -> dict:
    if access is None:
        return {"username": parse_libvirt_address(source.location).username} if source.is_libvirt else {}
    doors = list(source.ssh_hosts.all())
    return {
        "hosts": [str(door) for door in doors if not door.is_jump],
        "jump_host": next((str(door) for door in doors if door.is_jump), ""),
        "username": access.username,
        "use_sudo": access.use_sudo,
    }


@login_required
@require_POST
def source_ssh_confirm(request, pk):
    """Each `key` is "id fingerprint", as the page showed it."""
    source = _admin_source(request, pk)
    pairs = (each.partition(" ") for each in request.POST.getlist("key"))
    seen = {host: fingerprint for host, _, fingerprint in pairs}
    if not seen:
        messages.error(request, "Tick the keys that you have compared.")
    else:
        done = f"{len(seen)} key{'s are' if len(seen) > 1 else ' is'} trusted from now on."
        told(request, lambda: ssh_hosts_confirm(source=source, by=request.user, fingerprints=seen), done)
    return redirect("analyzer:source_detail", pk=pk)
