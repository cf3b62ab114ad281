# What every script of the starter catalogue begins with. POSIX sh; needs no network and nothing but a base system.
set -eu

say() { printf '%s: %s\n' "$NAME" "$*"; }
fail() {
    printf '%s: %s\n' "$NAME" "$*" >&2
    exit 1
}

# put FILE: the standard input becomes the file, atomically, only when it differs. Not in a pipe, `changed` tells whether
# any file did since CHANGED was last set to no.
put() {
    mkdir -p "$(dirname "$1")"
    cat >"$1.new"
    if cmp -s "$1.new" "$1"; then
        rm -f "$1.new"
    else
        mv "$1.new" "$1"
        CHANGED=yes
        say "wrote $1"
    fi
}
CHANGED=no
changed() { [ "$CHANGED" = yes ]; }

# kernel_setting PATH VALUE: a line for sysctl.d on the output, and set at once where this kernel knows it.
kernel_setting() {
    printf '%s = %s\n' "$(printf '%s' "$1" | tr / .)" "$2"
    if [ -w "/proc/sys/$1" ]; then
        printf '%s\n' "$2" >"/proc/sys/$1" || printf '%s: %s stays as it is\n' "$NAME" "$1" >&2
    fi
}

have() { command -v "$1" >/dev/null 2>&1; }
ensure_group() {
    grep -q "^$1:" /etc/group && return
    groupadd --system "$1" 2>/dev/null || addgroup --system "$1" >/dev/null 2>&1 || fail "the group $1 can't be made"
}
has_systemd() { [ -d /run/systemd/system ]; }

memory_mib() {
    while read -r key value _; do
        if [ "$key" = MemTotal: ]; then
            echo $((value / 1024))
            return
        fi
    done </proc/meminfo
    fail "/proc/meminfo does not tell the memory"
}

cpus() {
    count=0
    while read -r key _; do
        if [ "$key" = processor ]; then count=$((count + 1)); fi
    done </proc/cpuinfo
    if [ "$count" -gt 0 ]; then echo "$count"; else echo 1; fi
}
