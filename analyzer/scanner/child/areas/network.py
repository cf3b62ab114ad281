"""Network interfaces as the guest is configured to bring them up."""

from analyzer.domain import network_config
from analyzer.scanner.child.notes import Notes
from analyzer.scanner.child.tree import Tree

MOST_NICS = 256
_YAML_LIMIT = 64 * 1024

_FILES = (
    ("/etc/network/interfaces.d/*", lambda text, stem: network_config.interfaces(text)),
    ("/etc/systemd/network/*.network", network_config.networkd),
    ("/etc/NetworkManager/system-connections/*", network_config.network_manager),
    ("/etc/sysconfig/network-scripts/ifcfg-*", lambda text, stem: network_config.ifcfg(text, stem[6:])),
    ("/etc/sysconfig/network/ifcfg-*", lambda text, stem: network_config.ifcfg(text, stem[6:])),
)


def read(tree: Tree, facts: dict, notes: Notes) -> None:
    found = []
    text = tree.text("/etc/network/interfaces")
    if text:
        found += [(nic, "/etc/network/interfaces") for nic in network_config.interfaces(text)]
    for pattern, parse in _FILES:
        for path in tree.glob(pattern):
            stem = path.rsplit("/", 1)[-1].removesuffix(".network").removesuffix(".nmconnection")
            found += [(nic, path) for nic in parse(tree.text(path) or "", stem)]
    found += _netplan(tree, notes)
    facts["nics"] = [{**nic, "source": path} for nic, path in found[:MOST_NICS]]
    if not found:
        notes.partial("network", "no interface is configured in a file that is known here")
    notes.full("network")


def _netplan(tree: Tree, notes: Notes) -> list[tuple[dict, str]]:
    paths = [*tree.glob("/etc/netplan/*.yaml"), *tree.glob("/etc/netplan/*.yml")]
    if not paths:
        return []
    import yaml  # here: it takes 20 ms and most disks have no netplan

    found = []
    for path in paths:
        try:
            document = yaml.safe_load(tree.text(path, _YAML_LIMIT) or "")
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            notes.partial("network", f"{path} is no YAML: {str(error).splitlines()[0][:200]}")
            continue
        found += [(nic, path) for nic in network_config.netplan(document)]
    return found
