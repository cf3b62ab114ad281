from django.urls import path

from migrations_engine.views import commitment, machines, runs, targets, wizard

app_name = "migrations_engine"
urlpatterns = [
    path("migrations/", runs.run_list, name="run_list"),
    path("migrations/new/", wizard.wizard, name="run_create"),
    path(
        "migrations/new/", wizard.wizard, name="wizard"
    ),  # the name that a machine's page links to, with ?vm=
    path("migrations/<uuid:pk>/", runs.run_detail, name="run_detail"),
    path("migrations/<uuid:pk>/live/", runs.run_live, name="run_live"),
    path("migrations/<uuid:pk>/receipt/", runs.run_receipt, name="run_receipt"),
    path("migrations/<uuid:pk>/cancel/", runs.run_cancel, name="run_cancel"),
    path("migrations/<uuid:pk>/retry/", runs.run_retry, name="run_retry"),
    path("migrations/<uuid:pk>/confirm/", commitment.run_confirm, name="run_confirm"),
    path("migrations/<uuid:pk>/rollback/", commitment.run_rollback, name="run_rollback"),
    path("migrations/<uuid:pk>/finalize/", commitment.run_finalize, name="run_finalize"),
    path("migrated/", machines.migratedvm_list, name="migratedvm_list"),
    path("migrated/<uuid:pk>/", machines.migratedvm_detail, name="migratedvm_detail"),
    path("migrated/<uuid:pk>/live/", machines.migratedvm_live, name="migratedvm_live"),
    path("migrated/<uuid:pk>/console/", machines.migratedvm_console, name="migratedvm_console"),
    path("migrated/<uuid:pk>/power/<str:want>/", machines.migratedvm_power, name="migratedvm_power"),
    path("migrated/<uuid:pk>/delete/", machines.migratedvm_delete, name="migratedvm_delete"),
    path("targets/", targets.target_list, name="target_list"),
    path("targets/new/", targets.target_create, name="target_create"),
    path("targets/<uuid:pk>/", targets.target_detail, name="target_detail"),
    path("targets/<uuid:pk>/edit/", targets.target_edit, name="target_edit"),
    path("targets/<uuid:pk>/delete/", targets.target_delete, name="target_delete"),
]
