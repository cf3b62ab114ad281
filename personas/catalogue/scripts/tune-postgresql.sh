# Tunes PostgreSQL for the size of this machine. A quarter of the memory for shared buffers and half as the planner's
# idea of the page cache: the starting values of PostgreSQL's own documentation (Resource Consumption, Query Planning).
memory=$(memory_mib)
processors=$(cpus)
{
    kernel_setting vm/swappiness 10
    kernel_setting vm/dirty_background_ratio 5
} | put /etc/sysctl.d/60-migration-persona-postgresql.conf

restart() {
    if has_systemd; then systemctl restart "postgresql@$1-$2.service"; else pg_ctlcluster "$1" "$2" restart; fi
}

found=0
for cluster in /etc/postgresql/*/*/; do
    [ -f "${cluster}postgresql.conf" ] || continue
    found=$((found + 1))
    name=$(basename "$cluster")
    version=$(basename "$(dirname "$cluster")")
    CHANGED=no
    put "${cluster}conf.d/60-migration-persona.conf" <<CONF
# Written by the post-migration script tune-postgresql for ${memory} MiB and ${processors} CPUs.
listen_addresses = '*'          # who may connect is the security group's and pg_hba.conf's to say
shared_buffers = $((memory / 4))MB
effective_cache_size = $((memory / 2))MB
maintenance_work_mem = $((memory / 16))MB
work_mem = $((memory / 256 + 1))MB
max_worker_processes = $((processors > 8 ? processors : 8))
random_page_cost = 1.1
CONF
    grep -Eq "^[[:space:]]*include_dir[[:space:]]*=?[[:space:]]*'conf.d'" "${cluster}postgresql.conf" ||
        printf "include_dir = 'conf.d'\n" >>"${cluster}postgresql.conf"
    port=$(sed -n "s/^[[:space:]]*port[[:space:]]*=[[:space:]]*\([0-9]*\).*/\1/p" "${cluster}postgresql.conf" | tail -n 1)
    ready="/usr/lib/postgresql/${version}/bin/pg_isready"
    [ -x "$ready" ] || ready=pg_isready
    if changed || ! "$ready" -q -p "${port:-5432}"; then
        restart "$version" "$name" || fail "PostgreSQL ${version}/${name} does not start with the new settings"
    fi
    tries=0
    until "$ready" -q -p "${port:-5432}"; do
        tries=$((tries + 1))
        [ "$tries" -lt 90 ] || fail "PostgreSQL ${version}/${name} does not answer on port ${port:-5432}"
        sleep 1
    done
    say "PostgreSQL ${version}/${name} answers on port ${port:-5432} with $((memory / 4)) MiB of shared buffers"
done

if [ "$found" -eq 0 ]; then
    say "PostgreSQL is not installed: only the kernel was set"
fi
