# A closed folder for the books, a strict umask, and a journal that outlives an audit.
ensure_group finance
mkdir -p /srv/ledger
chgrp finance /srv/ledger
chmod 2770 /srv/ledger
put /etc/profile.d/60-migration-persona-ledger.sh <<'CONF'
umask 027
CONF

CHANGED=no
put /etc/systemd/journald.conf.d/60-migration-persona.conf <<'CONF'
[Journal]
Storage=persistent
MaxRetentionSec=10year
CONF
if changed && has_systemd; then
    systemctl restart systemd-journald.service || fail "the journal does not start with its new retention"
fi

mode=$(stat -c '%a %G' /srv/ledger)
[ "$mode" = "2770 finance" ] || fail "/srv/ledger is '$mode' instead of '2770 finance'"
say "/srv/ledger is closed to everyone but the group finance; the journal is kept for ten years"
