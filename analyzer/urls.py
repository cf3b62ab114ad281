from django.urls import path

from analyzer.views import machine_actions, machines, scans, sources, suggestions, usage

app_name = "analyzer"
urlpatterns: list = [
    path("machines/", machines.MachineList.as_view(), name="vm_list"),
    path("machines/scan/", machine_actions.machines_scan, name="vm_scan_many"),
    path("machines/<uuid:pk>/", machines.vm_detail, name="vm_detail"),
    path("machines/<uuid:pk>/software/", machines.vm_software, name="vm_software"),
    path("machines/<uuid:pk>/usage/", machines.vm_usage, name="vm_usage"),
    path("machines/<uuid:pk>/usage/upload/", usage.vm_usage_upload, name="vm_usage_upload"),
    path("machines/<uuid:pk>/usage/<slug:metric>.json", usage.vm_usage_series, name="vm_usage_series"),
    path("machines/<uuid:pk>/personas/", machines.vm_personas, name="vm_personas"),
    path("machines/<uuid:pk>/personas/add/", suggestions.vm_persona_add, name="vm_persona_add"),
    path("machines/<uuid:pk>/personas/new/", suggestions.vm_persona_create, name="vm_persona_create"),
    path("machines/<uuid:pk>/scans/", machines.vm_scans, name="vm_scans"),
    path("machines/<uuid:pk>/scan/", machine_actions.vm_scan, name="vm_scan"),
    path("machines/<uuid:pk>/scan/progress/", machine_actions.vm_scan_progress, name="vm_scan_progress"),
    path("machines/<uuid:pk>/suggest/", suggestions.vm_suggest, name="vm_suggest"),
    path("machines/<uuid:pk>/edit/", machine_actions.vm_edit, name="vm_edit"),
    path("machines/<uuid:pk>/delete/", machine_actions.vm_delete, name="vm_delete"),
    path("machine-personas/<uuid:pk>/delete/", suggestions.vm_persona_remove, name="vm_persona_remove"),
    path("suggestions/<uuid:pk>/accept/", suggestions.recommendation_accept_view, name="recommendation_accept"),
    path("suggestions/<uuid:pk>/choose/", suggestions.recommendation_choose, name="recommendation_choose"),
    path("suggestions/<uuid:pk>/dismiss/", suggestions.recommendation_dismiss_view, name="recommendation_dismiss"),
    path("scans/<uuid:pk>/", scans.scan_detail, name="scan_detail"),
    path("sources/", sources.SourceList.as_view(), name="source_list"),
    path("sources/new/", sources.source_form, name="source_create"),
    path("sources/<uuid:pk>/", sources.source_detail, name="source_detail"),
    path("sources/<uuid:pk>/edit/", sources.source_form, name="source_edit"),
    path("sources/<uuid:pk>/delete/", sources.source_remove, name="source_delete"),
    path("sources/<uuid:pk>/discover/", sources.source_discover, name="source_discover"),
    path("sources/<uuid:pk>/progress/", sources.source_progress, name="source_progress"),
    path("sources/<uuid:pk>/check/", sources.source_probe, name="source_check"),
]
