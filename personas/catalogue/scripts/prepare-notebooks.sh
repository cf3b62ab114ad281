# A shared data folder, and numeric libraries that use the machine's cores and no more.
ensure_group data
mkdir -p /srv/data
chgrp data /srv/data
chmod 2770 /srv/data

threads=$(cpus)
put /etc/profile.d/60-migration-persona-notebooks.sh <<CONF
# Libraries that each start a thread per core on every worker are slower than one that knows its share.
export OMP_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads NUMEXPR_MAX_THREADS=$threads
CONF
{
    kernel_setting vm/max_map_count 262144
    kernel_setting vm/overcommit_memory 1
} | put /etc/sysctl.d/60-migration-persona-notebooks.conf

probe=/srv/data/.persona-probe
printf 'ok\n' >"$probe" || fail "/srv/data can't be written"
rm -f "$probe"
if have python3; then
    python3 -c 'import json, sqlite3, ssl' || fail "python3 is installed and broken"
    say "$(python3 --version) works; $threads threads, $(memory_mib) MiB of memory"
else
    say "python3 is not installed: only the folder and the limits were set"
fi
