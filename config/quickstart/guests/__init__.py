from config.quickstart.guests.apt import GuestBuildError
from config.quickstart.guests.guest import Guest, build_guest

__all__ = ["Guest", "GuestBuildError", "build_guest"]
