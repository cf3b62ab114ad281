# A shared folder for reports, with a scratch area that does not fill the disk.
ensure_group reports
mkdir -p /srv/reports/scratch
chgrp -R reports /srv/reports
chmod 2775 /srv/reports /srv/reports/scratch
put /etc/tmpfiles.d/60-migration-persona-reports.conf <<'CONF'
d /srv/reports/scratch 2775 root reports 7d
CONF

report=/srv/reports/scratch/.persona-probe.csv
printf 'campaign,clicks\nautumn,42\nwinter,58\n' >"$report" || fail "/srv/reports can't be written"
total=0
while IFS=, read -r campaign clicks; do
    if [ "$campaign" != campaign ]; then total=$((total + clicks)); fi
done <"$report"
rm -f "$report"
[ "$total" -eq 100 ] || fail "a report read back says $total instead of 100"
say "/srv/reports is ready; the scratch area is cleaned after seven days"
