app_name = "migrations_engine"
urlpatterns: list = []
