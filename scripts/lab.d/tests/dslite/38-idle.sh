# shellcheck shell=bash
# A line that is up and idle: the router wakes a dozen times a second, not a thousand times; and is there at once for the first packet.
within 5 "the Internet answers" internet
pid=$(show status --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["pid"])')
# Ten wakeups a second of the worker's, two of the control thread's, and what the line itself says.
scripts/lab.d/idle "$pid" 10 400 | tee "$LAB/idle" || fail "it wakes too often: $(tail -n 1 "$LAB/idle")"
note "$(tail -n 1 "$LAB/idle")"
echoes h1 "$INTERNET" 10 || fail "not 10 of 10 pings, or some twice"
