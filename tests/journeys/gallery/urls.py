from django.urls import include, path

from tests.journeys.gallery import views

urlpatterns = [
    path("gallery/", views.components),
    path("gallery/list/", views.listing),
    path("gallery/form/", views.form),
    path("gallery/delete/", views.confirm),
    path("gallery/live/", views.live),
    path("gallery/chart.json", views.chart),
    path("gallery/crash/", views.crash),
    path("", include("config.urls")),
]
