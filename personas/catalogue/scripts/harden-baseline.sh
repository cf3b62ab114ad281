# Kernel and OpenSSH settings of a hardened server. Nothing here can lock out who has a key.
{
    kernel_setting kernel/dmesg_restrict 1
    kernel_setting kernel/kptr_restrict 2
    kernel_setting fs/protected_fifos 2
    kernel_setting fs/protected_regular 2
    kernel_setting fs/suid_dumpable 0
    kernel_setting net/ipv4/conf/all/accept_redirects 0
    kernel_setting net/ipv4/conf/all/send_redirects 0
    kernel_setting net/ipv4/conf/all/log_martians 1
    kernel_setting net/ipv4/tcp_syncookies 1
} | put /etc/sysctl.d/60-migration-persona-hardening.conf

for secret in /etc/shadow /etc/gshadow; do
    if [ -f "$secret" ]; then chmod o-rwx "$secret"; fi
done

sshd=/usr/sbin/sshd
if [ -x "$sshd" ]; then
    CHANGED=no
    put /etc/ssh/sshd_config.d/60-migration-persona.conf <<'CONF'
PermitRootLogin prohibit-password
X11Forwarding no
MaxAuthTries 4
LoginGraceTime 30
CONF
    mkdir -p /run/sshd
    if ! "$sshd" -t; then
        rm -f /etc/ssh/sshd_config.d/60-migration-persona.conf
        fail "sshd refuses the hardened settings; they were taken back"
    fi
    if changed && has_systemd && systemctl is-active -q ssh.service; then
        systemctl reload ssh.service || fail "sshd does not reload"
    fi
    say "sshd is hardened"
else
    say "OpenSSH's server is not installed: only the kernel was set"
fi

if [ -r /proc/sys/kernel/dmesg_restrict ]; then
    [ "$(cat /proc/sys/kernel/dmesg_restrict)" -eq 1 ] || fail "the kernel did not take kernel.dmesg_restrict"
fi
say "the baseline holds"
