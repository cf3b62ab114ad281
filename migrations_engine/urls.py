from django.urls import path

from migrations_engine.views import commitment, machines, runs, targets, wave_members, waves, wizard

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
    path("migrations/<uuid:pk>/support/", runs.run_support, name="run_support"),
    path("waves/", waves.wave_list, name="wave_list"),
    path("waves/new/", waves.wave_create, name="wave_create"),
    path("waves/calendar/", waves.wave_calendar, name="wave_calendar"),
    path("waves/four-eyes/<uuid:pk>/", waves.wave_policy, name="wave_policy"),
    path("waves/<uuid:pk>/", waves.wave_detail, name="wave_detail"),
    path("waves/<uuid:pk>/live/", waves.wave_live, name="wave_live"),
    path("waves/<uuid:pk>/edit/", waves.wave_edit, name="wave_edit"),
    path("waves/<uuid:pk>/delete/", waves.wave_delete, name="wave_delete"),
    path("waves/<uuid:pk>/machines/", wave_members.wave_members_page, name="wave_members"),
    path("waves/<uuid:pk>/windows/", wave_members.wave_windows, name="wave_windows"),
    path("waves/<uuid:pk>/report/", wave_members.wave_report, name="wave_report"),
    path("waves/<uuid:pk>/report/<str:file_format>/", wave_members.wave_report_file, name="wave_report_file"),
    path("waves/<uuid:pk>/do/<str:verb>/", waves.wave_act, name="wave_act"),
    path("wave-members/<uuid:pk>/", wave_members.member_edit, name="member_edit"),
    path("wave-members/<uuid:pk>/remove/", wave_members.member_remove, name="member_remove"),
    path("wave-windows/<uuid:pk>/remove/", wave_members.window_remove, name="window_remove"),
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
