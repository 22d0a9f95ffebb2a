#!/bin/busybox sh
# All that runs in the guest: a leak under a cgroup v2 limit, and the watchdog beside it. What happened goes to the
# serial console in lines `@@WHAT …`; the host judges it, nothing is judged here.

/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
exec < /dev/null > /dev/ttyS0 2>&1

ADMIN=127.0.0.1:8081
WATCHDOG=127.0.0.1:9911
SLACK=127.0.0.1:9912
CGROUP=/sys/fs/cgroup/oomen/shop
LOG=/run/log
BYTES_PER_SECOND=2000000
# The kill is due 40 s after the leak began.
KILL_WITHIN=150

say() { echo "@@$*"; }
show() { [ ! -f "$2" ] || sed "s/^/@@$1 /" "$2"; }
get() { timeout 10 wget -q -O - "http://$1"; }
one_line() { tr '\n' ' ' < "$1"; }

# within SECONDS COMMAND…: repeats the command until it succeeds.
within() {
    tries=$1
    shift
    until "$@"; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then
            say in-vain "waited for $*"
            return 1
        fi
        sleep 1
    done
}

listening() { grep -q '"listening"' $LOG/slack; }
ready() { get "$1/health/ready" > /dev/null; }
profiled() { get $WATCHDOG/api/v1/heap-dumps | grep -q '"id"'; }
steady() { get $WATCHDOG/api/v1/targets | grep -q '"kind":"steady"'; }
killed() { get $WATCHDOG/api/v1/incidents | grep -q '"state":"killed"'; }

# busybox's wget cannot PUT. Its nc hangs up where its input ends, and who hung up gets no answer: hence the sleep.
inject() {
    body="{\"bytes_per_second\":$BYTES_PER_SECOND}"
    {
        printf 'PUT /debug/faults/unbounded-cache HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n' $ADMIN
        printf 'Content-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' ${#body} "$body"
        sleep 2
    } | nc 127.0.0.1 8081 | head -n 1
}

start() {
    ip link set lo up
    mkdir -p $LOG /run/data
    echo xoxb-guest > /run/token
    slack-server --listen $SLACK --token-file /run/token > $LOG/slack 2> $LOG/slack-errors &
    within 30 listening || return
    SHOP_FAULTS=on oomen confine --name shop --limit 96MiB -- \
        recommendations --admin-listen $ADMIN > $LOG/service 2>&1 &
    service=$!
    within 60 ready $ADMIN || return
    oomen watch --process recommendations --probe http://$ADMIN --listen $WATCHDOG \
        --slack-channel '#oncall' --slack-api-url http://$SLACK/api/ --slack-token-file /run/token \
        --data-dir /run/data > /dev/null 2> $LOG/oomen &
    within 60 ready $WATCHDOG
}

proof() {
    start || return
    # Something to compare with: a first heap profile, and a few seconds without growth.
    within 60 profiled || return
    within 60 steady || return
    sleep 5
    say target "$(get $WATCHDOG/api/v1/targets)"
    say events-before "$(one_line $CGROUP/memory.events)"
    say leak-began "$(date +%s)"
    say fault "$(inject)"

    (sleep $KILL_WITHIN && say in-vain 'waited for the kill' && kill -TERM $service) &
    wait $service
    say service-exit $?
    say killed-at "$(date +%s)"
    within 30 killed || return
    say incidents "$(get $WATCHDOG/api/v1/incidents)"
    say events-after "$(one_line $CGROUP/memory.events)"
    show slack $LOG/slack
    say done
}

say kernel "$(uname -r)"
grep cgroup /proc/mounts | sed 's/^/@@mount /'
say controllers "$(cat /sys/fs/cgroup/cgroup.controllers)"
proof
show log-slack $LOG/slack-errors
show log-service $LOG/service
show log-oomen $LOG/oomen
dmesg | grep -i 'oom\|killed process' | sed 's/^/@@log-kernel /'
poweroff -f
