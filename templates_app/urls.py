from django.urls import path

from templates_app.views import merge, templates

app_name = "templates_app"
urlpatterns = [
    path("templates/", templates.TemplateList.as_view(), name="template_list"),
    path("templates/new/", templates.TemplateCreate.as_view(), name="template_create"),
    path("templates/import/", templates.TemplateImport.as_view(), name="template_import"),
    path("templates/<uuid:pk>/", templates.TemplateDetail.as_view(), name="template_detail"),
    path("templates/<uuid:pk>/edit/", templates.TemplateEdit.as_view(), name="template_edit"),
    path("templates/<uuid:pk>/clone/", templates.TemplateClone.as_view(), name="template_clone"),
    path("templates/<uuid:pk>/delete/", templates.TemplateDelete.as_view(), name="template_delete"),
    path("templates/<uuid:pk>/archive/", templates.TemplateArchive.as_view(), name="template_archive"),
    path("templates/<uuid:pk>/restore/", templates.TemplateRestore.as_view(), name="template_restore"),
    path("templates/<uuid:pk>/document/", templates.TemplateDocument.as_view(), name="template_document"),
    path("templates/<uuid:pk>/merge/", merge.merge_preview, name="template_merge"),
    path("templates/<uuid:pk>/merge.json", merge.merge_json, name="template_merge_json"),
]
