# shellcheck shell=bash
# The server answers 400: said where a user looks, and not asked again in a hurry; told afresh, it agrees.
notify_afresh 400
within 20 "the server was told" notified_at_least 1
no_ping "$INTERNET" || fail "the border router does not know us and packets pass: this test tests nothing"
refused_shown() { show status | grep -i 'refuse'; }
within 5 "show status says that the server refuses" refused_shown
sleep 6
(($(notified_times) == 1)) || fail "the server refused and was told $(notified_times) times in six seconds"
notify_afresh ok
within 20 "the Internet answers" internet
