#!/bin/sh
# What a running machine tells of itself: read only, nothing is installed, nothing is written. Started as
# `sh -s -- TOKEN`; each part begins with a line "@@TOKEN name". What is missing is left out. analyzer.domain.ssh_facts
# reads it and bounds everything again: a machine may answer what it likes.
LC_ALL=C
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin
export LC_ALL PATH
token=$1
part() { printf '\n@@%s %s\n' "$token" "$1"; }
has() { command -v "$1" >/dev/null 2>&1; }
# for what asks the network or a dead mount; every process that is started here is one on the machine, so they are few
limited() { if has timeout; then timeout 15 "$@" 2>/dev/null; else "$@" 2>/dev/null; fi; }
counters() {
    awk 'FILENAME == "/proc/uptime" {print $1}
        FILENAME == "/proc/stat" && FNR == 1
        FILENAME == "/proc/meminfo" && /^(MemTotal|MemAvailable):/
        FILENAME == "/proc/diskstats" && FNR <= 300 {print "disk " $0}
        FILENAME == "/proc/net/dev" && FNR > 2 && FNR <= 300 {print "net " $0}' \
        /proc/uptime /proc/stat /proc/meminfo /proc/diskstats /proc/net/dev 2>/dev/null
}

part counters
counters

part os
head -c 8000 /etc/os-release 2>/dev/null || head -c 8000 /usr/lib/os-release 2>/dev/null

part system
echo "uid=$(id -u)"
uname -nrm | { read -r node release machine && printf 'hostname=%s\nkernel=%s\nmachine=%s\n' "$node" "$release" "$machine"; }
read -r id 2>/dev/null </etc/machine-id && echo "machine_id=$id"
read -r uptime rest </proc/uptime && echo "uptime=$uptime"
echo "now=$(date +%s)"
echo "vcpus=$(grep -c '^processor' /proc/cpuinfo)"
echo "timezone=$(readlink /etc/localtime 2>/dev/null || head -n 1 /etc/timezone 2>/dev/null)"
echo "init=$(readlink -f /sbin/init 2>/dev/null)"
[ -d /etc/runlevels ] && echo "openrc=1"
if [ -d /sys/firmware/efi ]; then echo "boot=uefi"; else echo "boot=bios"; fi
has cloud-init && [ ! -e /etc/cloud/cloud-init.disabled ] && echo "cloud_init=1"
has qemu-ga && echo "guest_agent=1"
has nft && echo "nft=1"
has tc && echo "tc=1"

if [ -r /var/lib/dpkg/status ]; then
    part dpkg
    grep -E '^((Package|Status|Version|Architecture|Section|Priority): |$)' /var/lib/dpkg/status
    part automatic
    grep -E '^((Package|Architecture|Auto-Installed): |$)' /var/lib/apt/extended_states 2>/dev/null
fi
if has rpm; then
    part rpm
    limited rpm -qa --qf '%{NAME}\t%{EPOCHNUM}\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{GROUP}\n'
    if has dnf; then
        part reasons
        limited dnf -q -C repoquery --installed --qf '%{name}|%{reason}\n' # -C: asks no mirror, writes no cache
    fi
fi
if [ -r /lib/apk/db/installed ]; then
    part apk
    grep -E '^([PVA]:|$)' /lib/apk/db/installed
    part world
    cat /etc/apk/world
fi

# from the files, as `systemctl is-enabled` does: asking a busy machine's systemctl takes a third of a second of its CPU
part units
grep -lsE '^(WantedBy|RequiredBy|UpheldBy|Alias)[[:space:]]*=' /etc/systemd/system/*.* \
    /usr/local/lib/systemd/system/*.* /usr/lib/systemd/system/*.* /lib/systemd/system/*.*
part unit_links
find /etc/systemd/system -maxdepth 2 -type l -printf '%P %l\n' 2>/dev/null
part scripts
for script in /etc/init.d/*; do
    name=${script##*/}
    [ -f "$script" ] || continue
    for folder in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
        [ -e "$folder/${name%.sh}.service" ] && continue 2
    done
    for link in /etc/rc[2-5].d/S[0-9][0-9]"$name" /etc/rc.d/rc[2-5].d/S[0-9][0-9]"$name" /etc/runlevels/*/"$name"; do
        [ -e "$link" ] && { echo "enabled $name"; continue 2; }
    done
    echo "disabled $name"
done

part users
head -c 500000 /etc/passwd

part ports
if has ss; then ss -H -l -n -t -u -p 2>/dev/null; fi

part processes
[ "$(cat /proc/2/comm 2>/dev/null)" = kthreadd ] && kernel='^(2|0 kthreadd)( |$)' || kernel='^$'
sed -n 's/^[0-9]* (\(.*\)) [A-Z] \([0-9]*\) .*/\2 \1/p' /proc/[0-9]*/stat 2>/dev/null |
    grep -vE "$kernel" | cut -d' ' -f2- | sort -u | head -n 2000

part images
for image in /boot/vmlinu[xz]-* /boot/kernel-*; do [ -f "$image" ] && echo "${image##*/}"; done
for image in /lib/modules/*/vmlinuz; do
    [ -f "$image" ] && { release=${image%/vmlinuz}; echo "vmlinuz-${release##*/}"; }
done
part initramfs
for image in /boot/initrd* /boot/initramfs*; do [ -f "$image" ] && echo "${image##*/}"; done
part drivers
names='virtio_blk|virtio_net|virtio_scsi|virtio_pci|virtio_console|virtio_balloon|virtio_rng|ahci|ata_piix|nvme|sd_mod'
names="$names|mptspi|vmw_pvscsi|megaraid_sas|e1000|e1000e|vmxnet3|8139cp|ixgbevf|ena|gve|mlx5_core|xen_blkfront"
names="$names|xen_netfront|hv_storvsc|hv_netvsc|ext4|xfs|btrfs|dm_mod|nf_tables"
for folder in /lib/modules/*/; do
    release=${folder%/}
    release=${release##*/}
    awk -F: -v names="$names" -v release="$release" '{
        sub(/\.ko.*/, "", $1); sub(/.*\//, "", $1); gsub(/-/, "_", $1)
        if ($1 ~ "^(" names ")$") print release, (FILENAME ~ /builtin$/ ? "builtin" : "dep"), $1
    }' "$folder/modules.builtin" "$folder/modules.dep" 2>/dev/null
done
part grubenv
head -c 4096 /boot/grub/grubenv 2>/dev/null || head -c 4096 /boot/grub2/grubenv 2>/dev/null
part grub
head -c 500000 /boot/grub/grub.cfg 2>/dev/null || head -c 500000 /boot/grub2/grub.cfg 2>/dev/null

part modules
cut -d' ' -f1 /proc/modules 2>/dev/null
part pci
grep -hE '^(DRIVER|PCI_ID|PCI_SLOT_NAME)=' /sys/bus/pci/devices/*/uevent 2>/dev/null

part filesystems
limited df -P -T -k
part swap
cat /proc/swaps 2>/dev/null
if has blkid; then
    part blkid
    blkid -o export 2>/dev/null
fi

if has ip; then
    part links
    ip -o link 2>/dev/null
    part addresses
    ip -o addr 2>/dev/null
    part routes
    ip route show default 2>/dev/null
fi
part resolv
grep '^nameserver' /etc/resolv.conf 2>/dev/null

part cron
grep -sE '^[[:space:]]*[0-9*@]' /etc/crontab /etc/cron.d/* /var/spool/cron/* /var/spool/cron/crontabs/* /dev/null |
    head -n 500

part containers
for engine in docker podman; do
    { [ "$engine" = podman ] || [ -S /run/docker.sock ] || [ -S /var/run/docker.sock ]; } && has "$engine" &&
        limited "$engine" ps --format "$engine {{.Names}} {{.Image}}"
done
part directories
find /opt /srv /var/www -mindepth 1 -maxdepth 1 -type d 2>/dev/null
part entries
find /opt /srv /var/www -mindepth 2 -maxdepth 2 2>/dev/null | head -n 20000
part compose
limited find /opt /srv /home /root -maxdepth 3 -type f \
    '(' -name 'docker-compose.y*ml' -o -name 'compose.y*ml' ')'

if has sadf; then
    find /var/log/sysstat /var/log/sa -name 'sa[0-9]*' -mtime -28 2>/dev/null | head -n 31 | while read -r day; do
        part sadf
        if has gzip && has base64; then
            limited sadf -j "$day" -- -u -r -b -n DEV | gzip -1c | base64
        else
            limited sadf -j "$day" -- -u -r -b -n DEV
        fi
    done
fi

sleep 1
part counters
counters
part end
exit 0
