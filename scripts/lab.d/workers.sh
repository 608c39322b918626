# shellcheck shell=bash
# A router of several workers. Sourced.

# in_order. UDP in many flows, both ways: no datagram is overtaken by the next of its flow, and nearly all come.
in_order() {
    local way
    for way in "" --reverse; do
        iperf --udp --parallel 6 --bitrate 2M --length "${1:-1400}" --time 2 $way \
            --json >"$LAB/iperf.json" || fail "UDP $way did not end"
        python3 - "$LAB/iperf.json" >"$LAB/order" <<'P' || fail "UDP $way: $(<"$LAB/order")"
import json, sys
streams = [stream["udp"] for stream in json.load(open(sys.argv[1]))["end"]["streams"]]
overtaken, packets, lost = (sum(s[key] for s in streams) for key in ("out_of_order", "packets", "lost_packets"))
print(f"{overtaken} of {packets} datagrams out of order, {lost} lost")
sys.exit(overtaken > 0 or packets < 500 or lost > packets / 20)
P
        note "UDP $way: $(<"$LAB/order")"
    done
}

# both_workers. Both have forwarded, and one has handed off what the other has received.
both_workers() {
    show counters --json >"$LAB/counters.json"
    show status --json >"$LAB/status.json"
    python3 - "$LAB/counters.json" "$LAB/status.json" >"$LAB/shares" <<'P' || fail "$(<"$LAB/shares")"
import json, sys
counters, status = (json.load(open(name)) for name in sys.argv[1:])
handed, received = counters["verdicts"].get("handed-off", 0), counters["events"].get("handoff-received", 0)
workers = status["workers"]
print(f"{len(workers)} workers, {handed} packets handed off, {received} received")
sys.exit(len(workers) != 2 or handed < 100 or handed != received)
P
    note "$(<"$LAB/shares")"
}

# outlives_standstill SERVICE WORKER. A worker stands still under traffic: the process ends by itself with code 3, saves the sessions, and
# started again, as a supervisor does, it goes on with them. The router is a child of the test's own shell.
outlives_standstill() {
    local file=$ROUTER/$1.toml code=0
    stop router
    # Without a lease that is given back, as anywhere but in this lab.
    sed -i '/^release-at-exit/d' "$file"
    spawn router router "$HIKYAKU" run --config "$file"
    within 40 "the Internet answers" internet
    held_download
    rm -f "$LAB/echoes.log"
    spawn echoes h1 ping -n -i 0.02 "$INTERNET"
    within 5 "echoes come back" grep -q "icmp_seq=5[0-9] " "$LAB/echoes.log"
    python3 scripts/lab.d/freeze "$(pid_of router)" "worker-$2" >"$LAB/freeze" 2>&1 &
    within 5 "worker $2 stands still" grep -q "stands still" "$LAB/freeze"
    within 10 "the process ends by itself" stopped router
    wait "$(pid_of router)" || code=$?
    ((code == 3)) || fail "it ended with code $code and not 3"
    grep -q "worker $2 stands still" "$LAB/router.log" || fail "the log does not say which worker stood still"
    [[ -s $ROUTER/state/sessions.bin ]] || fail "no sessions were saved"
    spawn router router "$HIKYAKU" run --config "$file"
    within 40 "the Internet answers again" internet
    stop echoes INT
    note "an echo each 20 ms: $(grep "packets transmitted" "$LAB/echoes.log")"
    downloaded
    grep -q "IPv4 sessions of before go on" "$LAB/router.log" || fail "no sessions went on"
}
