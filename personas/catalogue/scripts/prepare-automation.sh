# What container and automation hosts run into first: small queues, few watches, no forwarding.
{
    kernel_setting net/core/somaxconn 4096
    kernel_setting net/ipv4/ip_forward 1
    kernel_setting fs/inotify/max_user_instances 1024
    kernel_setting kernel/pid_max 4194304
} | put /etc/sysctl.d/60-migration-persona-automation.conf
put /etc/modules-load.d/60-migration-persona-automation.conf <<'CONF'
overlay
br_netfilter
CONF
for module in overlay br_netfilter; do
    if have modprobe; then modprobe -q "$module" || say "this kernel has no module $module"; fi
done

[ "$(cat /proc/sys/net/ipv4/ip_forward)" -eq 1 ] || fail "the kernel did not take net.ipv4.ip_forward"
found=""
for runtime in docker podman containerd ansible gitlab-runner; do
    if have "$runtime"; then found="$found $runtime"; fi
done
if have docker && has_systemd && systemctl is-enabled -q docker.service; then
    systemctl is-active -q docker.service || fail "docker is enabled and not running"
fi
say "ready; runtimes found:${found:- none}"
