"""Every URL: the pages of the apps, API v1, the admin, health."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from config import health, views
from migrations_engine.api.operations import MetricsView

urlpatterns = [
    path("", views.home, name="home"),
    path("login/", auth.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("", include("personas.urls")),
    path("", include("templates_app.urls")),
    path("", include("analyzer.urls")),
    path("", include("migrations_engine.urls")),
    path("marketplace/", include("marketplace.urls")),
    path("api/", include("config.api")),
    path("admin/", admin.site.urls),
    path("metrics", MetricsView.as_view(), name="metrics"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
]
