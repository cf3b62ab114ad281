# Sets nginx's workers for the size of this machine and shows that it answers.
conf=/etc/nginx/nginx.conf
if [ ! -f "$conf" ]; then
    say "nginx is not installed: nothing to tune"
    exit 0
fi
memory=$(memory_mib)
connections=$((memory < 1024 ? 1024 : memory))
if [ "$connections" -gt 16384 ]; then connections=16384; fi

kept="$conf.before-persona"
[ -f "$kept" ] || cp -p "$conf" "$kept"
sed -e "s/^\([[:space:]]*\)worker_processes[[:space:]].*/\1worker_processes $(cpus);/" \
    -e "s/^\([[:space:]]*\)worker_connections[[:space:]].*/\1worker_connections ${connections};/" "$conf" |
    put "$conf"
if ! nginx -t -q; then
    cp -p "$kept" "$conf"
    fail "nginx refuses the new configuration; the former one is back"
fi
put /etc/systemd/system/nginx.service.d/60-migration-persona.conf <<CONF
[Service]
LimitNOFILE=$((connections * 4))
CONF

if has_systemd; then
    systemctl daemon-reload
    systemctl restart nginx.service || fail "nginx does not start; see: journalctl -u nginx"
else
    nginx -s reload 2>/dev/null || nginx || fail "nginx does not start"
fi

answer() {
    if have curl; then
        curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1/
    elif have wget; then
        wget -q -O /dev/null http://127.0.0.1/ && echo 200
    elif have bash; then
        bash -c 'exec 3<>/dev/tcp/127.0.0.1/80; printf "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n" >&3; read -r _ code _ <&3; echo "$code"'
    fi
}
code=$(answer || true)
case "$code" in
    [234][0-9][0-9]) say "health: nginx answers $code with $(cpus) workers of $connections connections" ;;
    *) fail "nginx was restarted and does not answer on port 80" ;;
esac
