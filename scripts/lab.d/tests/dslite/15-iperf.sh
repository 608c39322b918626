# shellcheck shell=bash
# iperf3, TCP and UDP, both ways: it ends, and everything came. No test asserts a rate.
for way in "" --reverse; do
    iperf --bytes 16M $way || fail "TCP $way did not end"
    iperf --udp --bitrate 10M --length 1400 --time 2 $way --json \
        >"$LAB/iperf.json" || fail "UDP $way did not end"
    lost=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["end"]["sum"]["lost_percent"])' <"$LAB/iperf.json")
    note "UDP $way: lost $lost %"
    python3 -c "exit(not $lost < 2)" || fail "UDP $way: $lost % of 10 Mbit/s lost"
done
