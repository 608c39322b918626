# shellcheck shell=bash
# A router of several workers. Sourced.

# in_order. UDP in many flows, both ways: no datagram is overtaken by the next of its flow, and nearly all come.
in_order() {
    local way
    for way in "" --reverse; do
        on h1 timeout 30 iperf3 --client "$INTERNET" --udp --parallel 6 --bitrate 2M --length "${1:-1400}" --time 2 $way \
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
