# What builds and editors run into first: file watches, open files, and a cache that each user builds anew.
{
    kernel_setting fs/inotify/max_user_watches 524288
    kernel_setting fs/inotify/max_user_instances 1024
} | put /etc/sysctl.d/60-migration-persona-toolchain.conf
put /etc/security/limits.d/60-migration-persona.conf <<'CONF'
*  soft  nofile  65536
*  hard  nofile  1048576
CONF
ensure_group developers
mkdir -p /var/cache/build
chgrp developers /var/cache/build
chmod 2775 /var/cache/build
put /etc/profile.d/60-migration-persona-toolchain.sh <<CONF
export MAKEFLAGS=-j$(cpus) CCACHE_DIR=/var/cache/build/ccache
CONF

if have git; then
    git config --system init.defaultBranch main || fail "git's system configuration can't be written"
fi
found=""
for tool in gcc clang make cmake go rustc javac node python3 git; do
    if have "$tool"; then found="$found $tool"; fi
done
say "tools found:${found:- none}; builds use $(cpus) jobs"
