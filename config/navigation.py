"""The entries of the side bar."""


def navigation(request):
    return {}
