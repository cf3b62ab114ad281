app_name = "analyzer"
urlpatterns: list = []
