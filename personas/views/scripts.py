"""Pages of scripts: the text, its revisions and what changed between them."""

import difflib

from personas.filters import ScriptFilter
from personas.forms.rows import ScriptForm
from personas.models import Script
from personas.services import approvals, scripts
from personas.services.revisions import beside_the_older
from personas.views.base import (
    ActPage,
    ArchivePage,
    ClonePage,
    ConfirmPage,
    CreatePage,
    DetailPage,
    EditPage,
    ListPage,
    Page,
    RestorePage,
)


class Scripts(Page):
    model, entity = Script, "script"


class ScriptList(Scripts, ListPage):
    filterset_class = ScriptFilter
    defaults = {"archived": "false"}
    template_name = "personas/script_list.html"

    def get_queryset(self):
        return super().get_queryset().select_related("department")


class ScriptDetail(Scripts, DetailPage):
    template_name = "personas/script_detail.html"

    def get_context_data(self, **context):
        rows = list(self.object.revisions.select_related("created_by")[:50])
        revisions = [
            {"revision": revision, "diff": text_difference(before, revision) if before else None}
            for revision, before in beside_the_older(rows)
        ]
        newest = rows[0] if rows else None
        return super().get_context_data(
            newest=newest,
            revisions=revisions,
            approval=newest and self.object.approvals.filter(sha256=newest.sha256).first(),
            may_approve=approvals.may_approve(script=self.object, by=self.request.user),
            **context,
        )


def text_difference(before, after) -> str:
    """A unified diff of two revisions."""
    old, new = (revision.body.splitlines() for revision in (before, after))
    names = (f"revision {before.number}", f"revision {after.number}")
    return "\n".join(difflib.unified_diff(old, new, *names, lineterm=""))


class ScriptCreate(Scripts, CreatePage):
    form_class = ScriptForm
    template_name = "personas/script_form.html"

    def save(self, form):
        return scripts.script_create(by=self.request.user, **form.values())


class ScriptEdit(Scripts, EditPage):
    form_class = ScriptForm
    template_name = "personas/script_form.html"

    def save(self, form):
        version = form.cleaned_data["version"]
        return scripts.script_update(
            script=self.object, by=self.request.user, expected=version, **form.values()
        )


class ScriptClone(Scripts, ClonePage):
    def save(self, form):
        return scripts.script_clone(script=self.object, by=self.request.user, **form.cleaned_data)


class ScriptDelete(Scripts, ConfirmPage):
    archives = True


class ScriptArchive(Scripts, ArchivePage):
    pass


class ScriptRestore(Scripts, RestorePage):
    pass


class ScriptApprove(Scripts, ActPage):
    done = "Approved the text of “{row}”: it may run from now on."

    def act(self):
        sha256 = self.request.POST.get("sha256", "")
        approvals.script_approve(script=self.object, sha256=sha256, by=self.request.user)
