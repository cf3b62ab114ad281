from django.urls import path

from personas.views import audit, departments, parts, personas, scripts, tokens

app_name = "personas"
urlpatterns = [
    path("personas/", personas.PersonaList.as_view(), name="persona_list"),
    path("personas/new/", personas.PersonaCreate.as_view(), name="persona_create"),
    path("personas/import/", personas.PersonaImport.as_view(), name="persona_import"),
    path("personas/<uuid:pk>/", personas.PersonaDetail.as_view(), name="persona_detail"),
    path("personas/<uuid:pk>/edit/", personas.PersonaEdit.as_view(), name="persona_edit"),
    path("personas/<uuid:pk>/clone/", personas.PersonaClone.as_view(), name="persona_clone"),
    path("personas/<uuid:pk>/delete/", personas.PersonaDelete.as_view(), name="persona_delete"),
    path("personas/<uuid:pk>/archive/", personas.PersonaArchive.as_view(), name="persona_archive"),
    path("personas/<uuid:pk>/restore/", personas.PersonaRestore.as_view(), name="persona_restore"),
    path("personas/<uuid:pk>/document.yaml", personas.PersonaDocument.as_view(), name="persona_document"),
    *parts.urlpatterns,
    path("scripts/", scripts.ScriptList.as_view(), name="script_list"),
    path("scripts/new/", scripts.ScriptCreate.as_view(), name="script_create"),
    path("scripts/<uuid:pk>/", scripts.ScriptDetail.as_view(), name="script_detail"),
    path("scripts/<uuid:pk>/edit/", scripts.ScriptEdit.as_view(), name="script_edit"),
    path("scripts/<uuid:pk>/clone/", scripts.ScriptClone.as_view(), name="script_clone"),
    path("scripts/<uuid:pk>/delete/", scripts.ScriptDelete.as_view(), name="script_delete"),
    path("scripts/<uuid:pk>/approve/", scripts.ScriptApprove.as_view(), name="script_approve"),
    path("scripts/<uuid:pk>/archive/", scripts.ScriptArchive.as_view(), name="script_archive"),
    path("scripts/<uuid:pk>/restore/", scripts.ScriptRestore.as_view(), name="script_restore"),
    path("departments/", departments.DepartmentList.as_view(), name="department_list"),
    path("departments/new/", departments.DepartmentCreate.as_view(), name="department_create"),
    path("departments/<uuid:pk>/", departments.DepartmentDetail.as_view(), name="department_detail"),
    path("departments/<uuid:pk>/edit/", departments.DepartmentEdit.as_view(), name="department_edit"),
    path("departments/<uuid:pk>/delete/", departments.DepartmentDelete.as_view(), name="department_delete"),
    path(
        "departments/<uuid:pk>/members/<int:user>/remove/",
        departments.MemberRemove.as_view(),
        name="member_remove",
    ),
    path("tokens/", tokens.TokenList.as_view(), name="token_list"),
    path("tokens/new/", tokens.TokenCreate.as_view(), name="token_create"),
    path("tokens/<uuid:pk>/revoke/", tokens.TokenRevoke.as_view(), name="token_revoke"),
    path("audit/", audit.AuditList.as_view(), name="audit_list"),
]
