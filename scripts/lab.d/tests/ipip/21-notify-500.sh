# shellcheck shell=bash
# The server has a bad day: asked again, not in a hurry; as soon as it agrees, packets pass.
notify_afresh 500
within 20 "the server was told" notified_at_least 1
within 30 "the server was told again" notified_at_least 2
gap=$(python3 -c 'import json, sys
times = [json.loads(line)["time"] for line in sys.stdin]
print(int(times[1] - times[0]))' < <(notified))
((gap >= 5)) || fail "the server was told again after $gap s"
notify_server ok
within 45 "the Internet answers once the server agrees" internet
