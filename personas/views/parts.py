"""Pages of driver sets, resource profiles and network profiles: one set of pages, three times."""

from django.urls import path

from personas.domain.drivers import parse_drivers, resolve
from personas.domain.security_groups import rule_text
from personas.filters import DriverSetFilter, NetworkProfileFilter, ResourceProfileFilter
from personas.forms.rows import DriverSetForm, NetworkProfileForm, ResourceProfileForm
from personas.models import DriverSet, NetworkProfile, ResourceProfile
from personas.services import parts
from personas.views.base import ClonePage, ConfirmPage, CreatePage, DetailPage, EditPage, ListPage


class PartDetail(DetailPage):
    def get_context_data(self, **context):
        return super().get_context_data(**shown(self.object), **context)


def shown(part) -> dict:
    """What the page of this kind of part shows besides its columns."""
    if isinstance(part, DriverSet):
        return {"resolved": resolve(parse_drivers(part.drivers))}
    if isinstance(part, NetworkProfile):
        return {
            "groups": [
                (group["name"], [rule_text(rule) for rule in group["rules"]])
                for group in part.security_groups
            ]
        }
    return {}


class PartCreate(CreatePage):
    template_name = "personas/part_form.html"

    def save(self, form):
        return parts.part_create(model=self.model, by=self.request.user, **form.values())


class PartEdit(EditPage):
    template_name = "personas/part_form.html"

    def save(self, form):
        version = form.cleaned_data["version"]
        return parts.part_update(part=self.object, by=self.request.user, expected=version, **form.values())


class PartClone(ClonePage):
    def save(self, form):
        return parts.part_clone(part=self.object, by=self.request.user, **form.cleaned_data)


def part_urls(prefix: str, model, entity: str, form_class, filterset_class) -> list:
    """The six pages of one kind of part."""
    kind = {"model": model, "entity": entity}
    one = f"{prefix}/<uuid:pk>/"
    templates = {page: f"personas/{entity}_{page}.html" for page in ("list", "detail")}
    return [
        path(
            f"{prefix}/",
            ListPage.as_view(**kind, filterset_class=filterset_class, template_name=templates["list"]),
            name=f"{entity}_list",
        ),
        path(f"{prefix}/new/", PartCreate.as_view(**kind, form_class=form_class), name=f"{entity}_create"),
        path(one, PartDetail.as_view(**kind, template_name=templates["detail"]), name=f"{entity}_detail"),
        path(f"{one}edit/", PartEdit.as_view(**kind, form_class=form_class), name=f"{entity}_edit"),
        path(f"{one}clone/", PartClone.as_view(**kind), name=f"{entity}_clone"),
        path(f"{one}delete/", ConfirmPage.as_view(**kind), name=f"{entity}_delete"),
    ]


urlpatterns = [
    *part_urls("driver-sets", DriverSet, "driverset", DriverSetForm, DriverSetFilter),
    *part_urls(
        "resource-profiles", ResourceProfile, "resourceprofile", ResourceProfileForm, ResourceProfileFilter
    ),
    *part_urls(
        "network-profiles", NetworkProfile, "networkprofile", NetworkProfileForm, NetworkProfileFilter
    ),
]
